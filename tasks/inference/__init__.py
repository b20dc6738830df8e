"""What a large language model answers: engines, the server that one of them starts, and what was asked before."""
