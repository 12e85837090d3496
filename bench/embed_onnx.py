"""ONNX Runtime's side of bench_embed: for each length read, the processor time of one pass of that many tokens; one thread.

    embed_onnx.py MODEL.onnx        reads a number a line, writes milliseconds a line
"""
import sys
import time

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
wanted = {i.name for i in session.get_inputs()}


def run(length):
    ids = numpy.array([[1000 + i * 37 % 20000 for i in range(length)]], numpy.int64)
    inputs = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
    inputs = {name: value for name, value in inputs.items() if name in wanted}
    start = time.process_time()
    session.run(None, inputs)
    return (time.process_time() - start) * 1e3


warm = set()
for line in sys.stdin:
    length = int(line)
    if length not in warm:
        run(length)
        warm.add(length)
    print(f"{run(length):.4f}", flush=True)
