include Mirust_tcp_flow.Tcp
