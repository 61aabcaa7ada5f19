let elapsed_ns = Abi.time_monotonic_ns
let period_ns () = None
