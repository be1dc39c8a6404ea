"""What declarations may say: the shape of each file, what its values are, what one names of another, and what it means.

``loader`` puts them together to a project; nothing here reads files or data.
"""
