"""
WebSocket (RFC 6455), server side: opening handshake, frame reader and frame writer.
"""
