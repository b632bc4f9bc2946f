"""What every room stands on: errors, how a command starts and ends, messages, folders that appear whole."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "UserError": "errors",
        "UsageError": "errors",
        "say": "progress",
        "warn": "progress",
        "show_progress": "progress",
        "command_line": "command_line",
        "staging": "staging",
    },
)
