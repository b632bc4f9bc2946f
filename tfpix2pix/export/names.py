"""The names of files and signatures of a SavedModel."""

SAVED_MODEL_FILE = "saved_model.pb"
SIGNATURE = "float32_seeded"
# Name and hole of the task; TensorFlow Serving leaves the folder to whoever wrote the model.
TASK_FILE = "assets.extra/tfpix2pix.json"
SEEDED = "_seeded"
CARD_FILE = "model_card.json"
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
