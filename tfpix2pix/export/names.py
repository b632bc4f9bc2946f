"""The names of a SavedModel's files, signatures, inputs and outputs, for its writer and its clients.

TensorFlow is not imported.
"""

SAVED_MODEL_FILE = "saved_model.pb"
CARD_FILE = "model_card.json"
# What the folder of a model on the Hugging Face Hub holds.
HUB_GENERATOR_FILE, HUB_ABOUT_FILE = "generator.keras", "tfpix2pix.json"
# TensorFlow Serving leaves this folder to the writer of the model, except for the file of warm-up requests.
_EXTRA_FOLDER = "assets.extra"
# Holds the name and the hole of the task.
TASK_FILE = f"{_EXTRA_FOLDER}/tfpix2pix.json"
WARMUP_FILE = f"{_EXTRA_FOLDER}/tf_serving_warmup_requests"

# A signature that takes image files, or floats where the pictures have too many channels for a file.
DEFAULT_SIGNATURE = "serving_default"
# Signatures that take and return arrays of these types.
FLOAT32, UINT8, UINT16 = "float32", "uint8", "uint16"
# Each signature has a second one, of its name and this, which takes noise seeds too.
SEEDED = "_seeded"
# Where the generator has a latent vector, there is a third one, which takes noise seeds and latent vectors.
LATENT = "_latent"
# With `--boundaries`, signatures that take pictures have one of their name and this, or this and `_seeded`,
# which takes the ids of instances too.
WITH_INSTANCES = "_instances"
# The network itself: floats and seeds in, floats out.
NETWORK_SIGNATURE = FLOAT32 + SEEDED

# Inputs and outputs. Image files have the same name in both.
INPUT_IMAGE = "input_image"
GENERATED_IMAGE = "generated_image"
IMAGE_BYTES = "image_bytes"
INSTANCE_IDS = "instance_ids"
INSTANCE_BYTES = "instance_bytes"
NOISE_SEED = "noise_seed"
LATENT_VECTOR = "latent"
