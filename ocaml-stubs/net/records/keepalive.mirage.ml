type t = Tcpip.Tcp.Keepalive.t = { after : Duration.t; interval : Duration.t; probes : int }
