"""What the graph of a step does."""


def calls(graph):
    """Return how many operations call Python on the host: in each step, and in branches that it may take."""
    inside = [node.op for function in graph.as_graph_def().library.function for node in function.node_def]
    return {"step": [op.type for op in graph.get_operations()].count("EagerPyFunc"), "branch": inside.count("EagerPyFunc")}
