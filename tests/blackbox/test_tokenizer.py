#!/usr/bin/env python3
"""src/embed/tokenizer.h against its reference, PyPI tokenizers: the same ids for every text, cased and uncased.

Needs the reference (scripts/setup check installs it; model/requirements.txt) and a model's vocab.txt and tokenizer.json in
CONTEXT_STORE_TEST_MODEL (default build/models/all-MiniLM-L6-v2); without them each test is skipped. The tokenizer is
called through a shared object that is built here from its sources: a process for each text would take hours.
"""
import ctypes
import importlib.util
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import textwrap
import unicodedata

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import blackbox
from blackbox import ROOT, Skip

MODEL = pathlib.Path(os.environ.get("CONTEXT_STORE_TEST_MODEL", ROOT / "build/models/all-MiniLM-L6-v2"))
PYTHON = ROOT / os.environ.get("CONTEXT_STORE_MODEL_PYTHON", "build/sdk/model/bin/python3")
SOURCES = [ROOT / "src" / f"{name}.c" for name in (
    "base/arena", "base/clock", "base/error", "base/map", "base/slice", "base/utf8",
    "embed/tokenizer", "embed/tokenizer_words", "embed/unicode_classes", "embed/vocabulary")]
GOLDEN = ROOT / "tests/unit/tokenizer_golden_table.h"
SEED = 20261124
RANDOM_TEXTS = 100_000
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
BATCH = 20_000


class Slice(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Options(ctypes.Structure):
    _fields_ = [("lowercase", ctypes.c_bool), ("vocabulary_size", ctypes.c_uint32)]


class Ids(ctypes.Structure):
    _fields_ = [("ids", ctypes.POINTER(ctypes.c_uint32)), ("count", ctypes.c_size_t)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("text", ctypes.c_char * 512), ("version", ctypes.c_uint64)]


class Ours:
    """The tokenizer under test. Lives as long as the process."""

    library = None

    def __init__(self, lowercase, vocabulary):
        if Ours.library is None:
            Ours.library = self.build()
        self.error, self.tokenizer = Error(), ctypes.c_void_p()
        self.arena = (ctypes.c_char * 4096)()
        self.library.arena_init(ctypes.byref(self.arena), None, ctypes.c_size_t(0), ctypes.c_size_t(1 << 30))
        status = self.library.tokenizer_new(Slice(vocabulary, len(vocabulary)), Options(lowercase, 0),
                                            ctypes.byref(self.tokenizer), ctypes.byref(self.error))
        blackbox.equal(status, 0, self.error.text.decode())

    @staticmethod
    def build():
        with tempfile.TemporaryDirectory() as folder:
            made = pathlib.Path(folder, "tokenizer.so")
            subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-O2", "-fPIC", "-shared", f"-I{ROOT}/src",
                            "-include", "base/banned.h",
                            "-D_GNU_SOURCE", "-o", made, *SOURCES, "-lxxhash", "-lm", "-lpthread"], check=True)
            library = ctypes.CDLL(str(made))
        library.tokenizer_new.argtypes = [Slice, Options, ctypes.c_void_p, ctypes.c_void_p]
        library.tokenizer_encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, Slice, ctypes.c_void_p, ctypes.c_void_p]
        return library

    def encode(self, text):
        utf8, ids = text.encode("utf-8"), Ids()
        status = self.library.tokenizer_encode(self.tokenizer, ctypes.byref(self.arena), Slice(utf8, len(utf8)),
                                               ctypes.byref(ids), ctypes.byref(self.error))
        blackbox.equal(status, 0, f"{text[:80]!r}: {self.error.text.decode()}")
        found = ids.ids[: ids.count]
        self.library.arena_reset(ctypes.byref(self.arena))
        return found


def need():
    """The reference and a model are here, or the test is skipped."""
    for needed in (MODEL / "vocab.txt", MODEL / "tokenizer.json"):
        if not needed.exists():
            raise Skip(f"no {needed}; CONTEXT_STORE_TEST_MODEL names a model's directory")
    if importlib.util.find_spec("tokenizers") is None:
        raise Skip("tokenizers is not installed (tests/blackbox/model/requirements.txt)")


def pair(lowercase):
    """Ours and the reference with the model's vocabulary; special tokens are text like all other text."""
    need()
    import tokenizers

    reference = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    reference.no_truncation()
    reference.no_padding()
    reference.encode_special_tokens = True
    if not lowercase:
        reference.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False)
    return Ours(lowercase, (MODEL / "vocab.txt").read_bytes()), reference


def spelling_reference(pieces, lowercase):
    """The reference with these pieces, all of which are text."""
    import tokenizers

    reference = tokenizers.Tokenizer(tokenizers.models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    reference.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    reference.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return reference


def spelling_pair(lowercase):
    """Ours and the reference with every assigned character as a piece, so that no word is unknown and each character and
    its place shows. (In the model's vocabulary the combining characters that stay are missing.)"""
    need()
    assigned = [chr(c) for c in SCALARS if c < 0x2FA20 and c not in (10, 13)]
    assigned = [char for char in assigned if unicodedata.category(char) not in ("Cn", "Co")]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *assigned, *("##" + char for char in assigned)]
    return Ours(lowercase, "\n".join(pieces).encode()), spelling_reference(pieces, lowercase)


def same(both, texts):
    ours, reference = both
    wrong, first = 0, None
    for at in range(0, len(texts), BATCH):
        batch = texts[at : at + BATCH]
        for text, wanted in zip(batch, reference.encode_batch_fast(batch, add_special_tokens=False)):
            found = ours.encode(text)
            if found != wanted.ids:
                wrong += 1
                first = first or f"{ascii(text[:200])} gives {found[:60]}, the reference {wanted.ids[:60]}"
    if wrong:
        raise AssertionError(f"{wrong} of {len(texts)} texts differ, first: {first}")


def joined(texts, size=50):
    """Fewer texts with the same words: a space ends whatever a character began."""
    return [" ".join(texts[at : at + size]) for at in range(0, len(texts), size)]


def scalars_alone():
    """every scalar value alone"""
    both = pair(True)
    same(both, [chr(c) for c in SCALARS if c < 0x3400])
    same(both, joined([chr(c) for c in SCALARS]))


def scalars_between_letters():
    """every scalar value between letters"""
    same(pair(True), joined(["a" + chr(c) + "b" for c in SCALARS]))
    same(spelling_pair(True), joined(["a" + chr(c) + "b" for c in SCALARS]))


def scalars_cased():
    """every scalar value between letters, without lowering and decomposing"""
    same(spelling_pair(False), joined(["Aé" + chr(c) + "B" for c in SCALARS]))


def scalars_among_combining():
    """every scalar value between combining characters of several classes"""
    both = spelling_pair(True)
    same(both, joined(["a\u302e" + chr(c) + "\U0001d165b" for c in SCALARS]))
    same(both, joined(["a\U0001d16d\u0301" + chr(c) + "\u1b44\u0323" for c in SCALARS]))


HARD = """|   |\t\r\n|[CLS] a [SEP] b [PAD] [UNK] [MASK]|[SEP]|the[SEP]end|##ing|a ##b|can't won't|3.14159, 1,000,000.00|e-mail@x.org
日本語とEnglish混ざる|中文字符测试|\U0002b81f\U0002b820\U0002b91f\U0002b920x\U0002ceaf\U0002ceb0|\uf900\ufa0e\ufaff\U0002f800\U0002fa1f|\u3007\u3038〒
e\u0301\u0323e\u0323\u0301|\u1e69\u1e0b\u0323 d\u0307\u0323|a\u0315\u0300\u05ae\u0300\u0062|\u0344\u0385\u1f82\u1fee|\u0cc0\u0cc7\u0cca\u0ccb
👩\u200d👩\u200d👧\u200d👦 👍🏽 🏳️\u200d🌈 🇩🇪|☃\ufe0f ©®™|שלום עולם|مرحبا بالعالم، كيف حالك؟|\u202eabc\u202c|שָׁלוֹם|اَلْعَرَبِيَّةُ
a\x00b\x01c\x7fd\x80e\x85f\x9fg|\ufeffbom|soft\u00adhyphen|zero\u200bwidth|\ufffd a\ufffdb|\ue000\uf8ff a\ue123b|\ufdd0\ufffe\uffff \U0010ffff
İstanbul Iıiİ ıI|Straße STRASSE ẞ ß|ΌΔΟΣ Σ σς ὈΔΥΣΣΕΎΣ|Ωμέγα \u2126 \u212b \u212a|ﬁ ﬂ ﬀ Ⅷ ⅷ ① ½|Ǆ ǅ ǆ|ÀÉÎÕÜ àéîõü ÇÑ|Łódź Øre Đặng
\u1112\u1161\u11ab\u1100\u1173\u11af|한글 한국어 각힣|가\u11a8\u302e\u302f\u302f\u302e|\u1100\u1161\u11a7|ᄒ\u119e|ㅎㅏㄴ
नमस्ते दुनिया|ภาษาไทย น้ำ|བོད་སྐད|မြန်မာ|ខ្មែរ|தமிழ்|తెలుగు|ಕನ್ನಡ|മലയാളം|ქართული ᲥᲐ|Հայերեն և|ᏣᎳᎩ ꭳꮶ|𞤀𞤢|𐐀𐐨|Ⰰⰰ|ᵃᵇ ₁²
«quoted» “smart” ‘single’ — – … ¿qué? ¡sí!|´¨¸¯|≠ ≮ ≯ ⫝̸|`^~$+<=>|;·;·|〈〉〈〉|\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000x
\U0001d15e\U0001d15f\U0001d160\U0001d164|\U0001d165\U0001d16e\U0001d16d\u302e\u302f|\u1b44\u302e\ua953|\u302f\u093f\u302e|\u302f\u0941\u302e|\u302f\u0301\u302e|\u302f\x01\u302e
\u302f\u0941\u1b44|\u302f\u0301\u1b44|\u302f\x01\u1b44|\u302fa\u1b44|\u302f\u00e9\u1b44|\u302f\u1b44\U0001d165\u1b44|a\u037eb|a\u0387b|a\u2260b|a\uf900b|h☃ the""".replace("\n", "|").split("|")


GOLDEN_MORE = ["unaffable tokenization", "HELLO hello Hello", "x" * 100, "x" * 101 + " the", "é" * 100, "é" * 101, "中☃", "the中the", "h中",
               "a" * 98 + "\u302f\u302e", "a" * 99 + "\u302f\u302e", "", "unh☃ the", "tokenizationing un##aff", "\U00010400\U0001f600"]


def hard_texts():
    """texts that are hard by script, order, case, control characters or length"""
    letters = ["x" * n for n in (99, 100, 101, 102, 1000, 100_000)] + ["é" * n for n in (99, 100, 101)]
    letters += ["\U0001f600" * n for n in (99, 100, 101)] + ["e\u0301" * n for n in (100, 101)] + ["한" * n for n in (33, 34, 50)]
    letters += ["a" * 99 + "\u302f\u302e", "a" * 98 + "\u302f\u302e", "a" * 100 + "\u302e", "\u302f\u302e" * 60, "\u302f" * 50 + "\u302e" * 50]
    letters += ["the " * 5000, "ing" * 33, "中" * 500, "." * 500, "", "unaffable " + "z" * 101 + " end", "\u0301" * 5000, "a" + "\u0301" * 5000 + "b"]
    texts = HARD + letters + ["|".join(HARD), " ".join(HARD * 20)]
    for both in (pair(True), pair(False), spelling_pair(True), spelling_pair(False)):
        same(both, texts)


def pools():
    """Characters to mix, by what they are hard for."""
    ordered = [0x302E, 0x302F, 0x1B44, 0x1BAA, 0xA953, 0x1D165, 0x1D16D, 0x1D16E, 0x1DFB, 0x8D4, 0x8DF, 0x1E944, 0x1E94A, 0x1E01B]
    marks = [*range(0x300, 0x34F), 0x591, 0x5B0, 0x64B, 0x670, 0x93C, 0x941, 0x94D, 0xE38, 0xF71, 0xF72, 0xF74, 0x20D0, 0x3099]
    return [
        [ord(c) for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"],
        [ord(c) for c in " \t\n.,;:!?'\"()[]{}-_/\\#@$%^&*+=<>|~`"],
        ordered, ordered + marks, [*range(0xC0, 0x250)], [*range(0x370, 0x530)], [*range(0x590, 0x700)], [*range(0x900, 0xE00)],
        [*range(0xE00, 0x1100)], [*range(0x1100, 0x1200), *range(0xAC00, 0xAD00)], [*range(0x1E00, 0x2000)], [*range(0x2000, 0x2BFF)],
        [*range(0x3000, 0x3130), *range(0x4E00, 0x4F00), *range(0xF900, 0xFB50)], [*range(0x1D100, 0x1D200)],
        [*range(0x1F300, 0x1F650), 0x200D, 0xFE0F], [*range(0x2B700, 0x2B940), *range(0x2F800, 0x2FA20)], SCALARS,
    ]  # fmt: skip


def random_texts(count, seed, words):
    chance, mixed, texts = random.Random(seed), pools(), []
    for _ in range(count):
        parts, few = [], chance.sample(mixed, 3)
        for _ in range(chance.randrange(1, 12)):
            if chance.random() < 0.3:
                parts.append(chance.choice(words).removeprefix("##"))
            else:
                pool = chance.choice(few)
                parts.append("".join(chr(chance.choice(pool)) for _ in range(chance.randrange(1, 8))))
            if chance.random() < 0.4:
                parts.append(" ")
        texts.append("".join(parts))
    return texts


def random_uncased():
    """100,000 random mixed texts"""
    both = pair(True)
    texts = random_texts(RANDOM_TEXTS, SEED, (MODEL / "vocab.txt").read_text("utf-8").split("\n"))
    same(both, texts)
    same(spelling_pair(True), texts)


def random_cased():
    """20,000 random mixed texts, without lowering and decomposing"""
    both = spelling_pair(False)
    same(both, random_texts(20_000, SEED + 1, (MODEL / "vocab.txt").read_text("utf-8").split("\n")))


def table():
    """the generated table is what the reference gives"""
    need()
    done = subprocess.run([sys.executable, ROOT / "scripts/make-unicode-tables", "--check"], capture_output=True, text=True)
    blackbox.equal(done.returncode, 0, done.stdout + done.stderr)


def golden_pieces(texts):
    """Some words, and every character of the texts' normal forms but two, which stay unknown."""
    import tokenizers

    normal = [tokenizers.normalizers.BertNormalizer(lowercase=lowercase).normalize_str(t) for t in texts for lowercase in (False, True)]
    chars = sorted(set("".join(normal)) - set(" 中☃"))
    words = "the un ##aff ##able token ##ization hello ##ing straße ##e\u0301 한 istanbul ##2".split()
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys([*words, *chars, *("##" + c for c in chars)])]


def literal(text):
    """A C string: three octal digits a byte that is not plain."""
    plain = set(range(32, 127)) - set(b'\\"?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def golden():
    """The text of tests/unit/tokenizer_golden_table.h: what the reference gives with a vocabulary small enough to read."""
    import tokenizers

    texts = [text for text in HARD if len(text.encode()) < 400] + GOLDEN_MORE
    pieces = golden_pieces(texts)
    rows = []
    for text in texts:
        row = [literal(text)]
        for lowercase in (True, False):
            reference = spelling_reference(pieces, lowercase)
            row.append(literal(" ".join(map(str, reference.encode(text, add_special_tokens=False).ids))))
        rows.append(f"\tGOLDEN({', '.join(row)}) \\\n")
    lines = textwrap.wrap(" ".join(literal(piece)[:-1] + '\\n"' for piece in pieces), 110, break_long_words=False, break_on_hyphens=False)
    vocabulary = "".join(f"\t{line} \\\n" for line in lines)
    return (f"/* Generated by tests/blackbox/test_tokenizer.py --write-golden from PyPI tokenizers {tokenizers.__version__}: "
            "text, ids uncased, ids cased. */\n"
            f"#define GOLDEN_VOCABULARY \\\n{vocabulary}\n#define GOLDEN_TABLE \\\n{''.join(rows)}\n")


def golden_table():
    """the unit tests' golden table is what the reference gives"""
    need()
    blackbox.equal(GOLDEN.read_text("ascii"), golden())


if __name__ == "__main__":
    if importlib.util.find_spec("tokenizers") is None and PYTHON.exists() and sys.executable != str(PYTHON):
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    if sys.argv[1:] == ["--write-golden"]:
        sys.exit(GOLDEN.write_text(golden(), "ascii") == 0)
    blackbox.run(scalars_alone, scalars_between_letters, scalars_cased, scalars_among_combining, hard_texts, random_uncased,
                 random_cased, table, golden_table)
