"""Ways to make conversations, one module each, all under the contract of `tasks.synthesize.method.Method`."""
