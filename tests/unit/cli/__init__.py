"""The command line, without a server or against a scripted one."""
