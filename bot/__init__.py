"""celonis-chat: process intelligence for people without a Celonis account, in the chat they already use.

A sentence or a click becomes a `Request`; `dispatch` parses it into an `Intent`, asks `policy`, turns names into
ids and, for anything that changes something, puts a question with a one-time ticket in between; a command asks
Celonis through a client that keeps the quota; the answer is a `Card`, which each adapter renders for its platform.
"""
