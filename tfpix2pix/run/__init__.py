"""What any training needs: the run's folder and lock, checkpoints, the loop, records, interruption.

Face: `checkpoints`, `folder`, `loop.Training`, `records.Records`, `generator.load_generator`.
"""
