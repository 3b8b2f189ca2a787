"""echo.py: accepts and closes on port 80 of every address."""
import socket

listener = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
print("ready")
while True:
    listener.accept()[0].close()
