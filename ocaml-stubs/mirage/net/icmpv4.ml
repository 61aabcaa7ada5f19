include Mirust_tcpip.Icmpv4
