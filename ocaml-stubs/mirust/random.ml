exception No_entropy

let fill b = if Abi.random b (Bytes.length b) <> 0 then raise No_entropy

let generate n =
  let b = Bytes.create n in
  fill b;
  Bytes.unsafe_to_string b
