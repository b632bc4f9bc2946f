"""What any training needs: the run's folder and lock, checkpoints, the loop, records, interruption.

Face: `checkpoints`, `folder`, `loop.take_steps`, `generator.load_generator`.
"""
