"""Python for people: results as frames and tensors, one slide without a workflow.

`import hipt` has what is here under short names: `open`, `segment`, `tile`, `embed`.
"""
