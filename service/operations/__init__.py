"""What a person may do: one function for each action, which does it and writes it into the audit log.

Comes in: a store, plain values, and who acts, by which way and why. Goes out: rows, controls, and what came of it. The
commands and the API call the same functions; it may not import HTTP, the process around it or the commands.
"""
