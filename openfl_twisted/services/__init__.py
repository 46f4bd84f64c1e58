"""
The C{twistd} commands: one module each, with its C{Options} and C{makeService}.

They are listed in C{twisted/plugins/openfl_twisted_services.py}.
"""
