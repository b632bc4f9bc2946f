"""Metadata, dependencies and extras; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "tfpix2pix" / "__init__.py").read_text("utf-8")).group(1)
# The badges of README.md and of the notebook have it too.
REPOSITORY = "https://github.com/tfpix2pix/tfpix2pix"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def _describe() -> str:
    """Returns the README without its pictures, and with the names of files in place of links to them.

    The page of a package index has neither the pictures nor the files, so both would be dead links there.
    """
    text = (HERE / "README.md").read_text("utf-8")
    text = re.sub(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n\n?", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\*Validation examples of .*?\*\n\n?", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)


# The official protocol definitions, for gRPC. Its versions ask for a TensorFlow at least as new.
SERVING = ["tensorflow-serving-api>=2.15"]
# The last TensorFlow and Keras that tensorflow-addons imports with; there are none for Python 3.12 and later.
# Their TensorBoard imports pkg_resources, which setuptools had until 80.
ADDONS = [
    f"{requirement}; python_version < '3.12'"
    for requirement in ("tensorflow==2.15.*", "keras==2.15.*", "tensorflow-addons==0.23.*", "setuptools<81")
]
# Other runtimes: converters, and what runs their files.
EXPORT = ["ai-edge-litert>=1.3", "onnx>=1.16", "onnxruntime>=1.19", "tf2onnx>=1.17"]
EDGES = ["opencv-python-headless>=4.8"]
# markdown-it-py renders what the people of a study read.
WEB = ["fastapi>=0.115", "uvicorn>=0.30", "markdown-it-py>=3"]
# httpx is what FastAPI's test client asks with; playwright drives the browser that the system has.
BROWSER = ["httpx>=0.27", "playwright>=1.45"]
SAFETENSORS = "safetensors>=0.4"
# Weights of the PyTorch reference; .npz files need neither. The CPU build of torch is enough.
TORCH = ["torch>=2.0", SAFETENSORS]
# The clusters of --instance_features.
FEATURES = ["scikit-learn>=1.4"]
# The page for Colab and Spaces. 5 is the first with `flagging_mode`.
GRADIO = ["gradio>=5"]
# Where pairs can come from: nothing here imports these, and their splits are taken as they are.
DATASETS, TFDS = ["datasets>=3"], ["tensorflow-datasets>=4.9"]
# Workers on a cluster. 2.60 is what was tried; it brings Train and Data as they are used here.
CLUSTER = ["ray[data,train]>=2.60"]
# LPIPS, and FID and KID with the weights of published scores.
METRICS = ["torch>=2.0", "torchvision>=0.15", "lpips>=0.1.4", "torch-fidelity>=0.4"]
# Data, runs and models in S3, in Google Cloud Storage and on web servers.
REMOTE = ["fsspec>=2024.12", "s3fs>=2024.12", "gcsfs>=2024.12", "aiohttp>=3.9"]
# Models from and to the Hugging Face Hub.
HUB = ["huggingface_hub>=0.30"]
# What runs the notebook from top to bottom, without a browser.
NOTEBOOK = ["ipykernel>=6.29", "nbclient>=0.10", "nbformat>=5.10", "ipywidgets>=8"]
# The site of `make docs`.
DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.5,<10", "mkdocstrings[python]>=0.30"]
TEST = [
    *EDGES,
    *EXPORT,
    *FEATURES,
    *SERVING,
    *WEB,
    *BROWSER,
    *HUB,
    # The schemas of docs/cluster/train_job.yaml.
    "kubernetes-validate>=1.31",
    *REMOTE,
    # A server that speaks S3; moto[server] would bring those of all other services, too.
    "moto[s3]>=5",
    "flask>=3",
    "flask-cors>=5",
    "gcp-storage-emulator>=2024.8",
    # A runtime for `onnx` files that nothing here needs but its test.
    "openvino>=2025",
    "pytest>=8",
    "pytest-xdist>=3.6",
    "scikit-image>=0.22",
    SAFETENSORS,
    # The first that writes the licence as the wheel's metadata has it now.
    "setuptools>=77",
    *NOTEBOOK,
]
# What the tests need beside ADDONS that run with Keras 2; the others skip.
TEST_KERAS2 = [
    *ADDONS,
    *EDGES,
    *FEATURES,
    *SERVING,
    "pytest>=8",
    "pytest-xdist>=3.6",
    "scikit-image>=0.22",
    SAFETENSORS,
]
DEV = [*TEST, "ruff==0.17.6", "mypy==2.4.1", "build>=1.2"]

setup(
    name="tfpix2pix",
    version=VERSION,
    url=REPOSITORY,
    description="Paired image-to-image translation (pix2pix) on TensorFlow 2 and Keras 3",
    long_description=_describe(),
    long_description_content_type="text/markdown",
    author="The tfpix2pix authors",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=[
        "pix2pix",
        "image-to-image translation",
        "conditional GAN",
        "generative adversarial network",
        "TensorFlow",
        "Keras",
    ],
    python_requires=">=3.10",
    # tfpix2pix/pipelines is a link to pipelines/.
    packages=find_packages(include=["tfpix2pix*"]),
    package_data={"tfpix2pix": ["py.typed"], "": ["static/*", "templates/*"]},
    entry_points={"console_scripts": ["tfpix2pix = tfpix2pix.__main__:run"]},
    install_requires=[
        # 2.15 is for tensorflow-addons; 2.16 and 2.17 were not tried.
        "tensorflow>=2.15,!=2.16.*,!=2.17.*",
        # That of TensorFlow 2.15, or one that was tried with 2.18 and later.
        "keras>=2.15,!=3.0.*,!=3.1.*,!=3.2.*,!=3.3.*,!=3.4.*,!=3.5.*",
        "tensorboard>=2.15",
        "numpy>=1.26",
        # TensorFlow and Keras bring these two, which are imported here as well.
        "h5py>=3.10",
        "ml_dtypes>=0.2",
        # 10.1 brings letters of any size for the captions of sheets.
        "pillow>=10.1",
        # Colab has 1.4.
        "absl-py>=1.4",
        "tqdm>=4.66",
        # Pages of pictures and scores.
        "jinja2>=3.1",
        # Requests to TensorFlow Serving over REST.
        "urllib3>=2",
        # 4 neither empties a lock file that another process holds nor holds one that was removed.
        "filelock>=4",
        # With pillow, what reads WebP, GIF and TIFF files.
        "tifffile>=2023.7",
    ],
    extras_require={
        "addons": ADDONS,
        "cluster": CLUSTER,
        "datasets": DATASETS,
        "edges": EDGES,
        "export": EXPORT,
        "features": FEATURES,
        "gradio": GRADIO,
        "hub": HUB,
        "metrics": METRICS,
        "remote": REMOTE,
        "serving": SERVING,
        "tfds": TFDS,
        "torch": TORCH,
        "web": WEB,
        "test": TEST,
        "test-keras2": TEST_KERAS2,
        "dev": DEV,
        "docs": DOCS,
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        *(f"Programming Language :: Python :: {version}" for version in PYTHONS),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Typing :: Typed",
    ],
)
