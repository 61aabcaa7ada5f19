type t = { after : Duration.t; interval : Duration.t; probes : int }
