"""Makes the sample data in configs/sample: `python -m tests.sample.make`."""
