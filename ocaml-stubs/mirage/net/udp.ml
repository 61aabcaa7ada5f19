include Mirust_tcpip.Udp
