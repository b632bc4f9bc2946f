# CPU:  docker build --tag tfpix2pix .
# GPU:  docker build --tag tfpix2pix --build-arg BASE=tensorflow/tensorflow:2.20.0-gpu .
# Then: docker run --rm --volume "$PWD:/work" --user "$(id -u):$(id -g)" tfpix2pix train --dataset=synthetic --steps=100
#       (GPU: docker run --gpus=all ...)
ARG BASE=python:3.12-slim
FROM ${BASE}

# Extras of setup.py, such as [web,export]; none by default.
ARG EXTRAS=""

WORKDIR /source
COPY setup.py pyproject.toml README.md LICENSE ./
COPY pipelines ./pipelines
COPY tfpix2pix ./tfpix2pix
# An image that brings TensorFlow keeps it: pip replaces only what does not fit.
# hadolint ignore=DL3013
RUN python3 -m pip install --no-cache-dir ".${EXTRAS}"

# Runs, datasets and caches go to the folder that is mounted here, and nothing needs root.
ENV HOME=/work
WORKDIR /work
RUN useradd --uid 1000 --home-dir /work user && chown user /work
USER 1000
ENTRYPOINT ["tfpix2pix"]
CMD ["--help"]
