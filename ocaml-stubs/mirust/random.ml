let fill b = ignore (Abi.random b (Bytes.length b) : int)

let generate n =
  let b = Bytes.create n in
  fill b;
  Bytes.unsafe_to_string b
