/* The weights in an ONNX file: the initialisers of its graph, under the names a PyTorch model has for them.
 *
 * Only as much of protobuf is read as it takes to find graph.initializer and graph.node; no graph is executed. Values
 * lie in raw_data or float_data; a tensor whose data is in another file is refused. An exporter keeps a parameter's name
 * unless it changed it, which it does with the matrices of linear layers: it transposes them and calls them
 * "onnx::MatMul_787". What they belong to is then in the name of the node that multiplies with them,
 * "/encoder/layer.0/attention/self/query/MatMul": such a tensor gets that module's name and is marked as transposed.
 *
 * Refused (CS_VALIDATION): lengths beyond what contains them, unknown wire types, a name twice, shapes that do not fit
 * the data. Source: onnx.proto of the ONNX project and protobuf's encoding. Threads: none of it shares anything. */
#ifndef CS_EMBED_ONNX_H
#define CS_EMBED_ONNX_H

#include "embed/tensors.h"

/* Views of `file`, which must outlive them; names and the list are in the arena. */
CS_CHECKED enum cs_status onnx_parse(struct arena *, struct slice file, struct tensors *ret_tensors, struct cs_error *);

#endif
