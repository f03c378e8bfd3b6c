"""Contacts: where a person touches themselves or the floor, and how a touch is kept in another body.

`find` lists the contacts of a motion, `keep` turns arms and legs of the swapped motion until they hold again, `measure`
says in numbers what that did. All of them read the body's surface at a few thousand of its vertices (`surface`).
"""
