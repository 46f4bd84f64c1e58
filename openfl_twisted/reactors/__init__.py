"""
How bytes reach the network with less work: transports that send what a turn of
the reactor has made in one piece, and a reactor with a leaner loop.

Nothing in here knows anything of OpenFL: any Twisted program can use it.
"""
