"""What every room stands on: errors, how a command starts and ends, messages, folders that appear whole.

Face: `errors.UserError`, `errors.UsageError`, `command_line.run`, `progress.say`, `progress.warn`,
`staging.staged_folder`.
"""
