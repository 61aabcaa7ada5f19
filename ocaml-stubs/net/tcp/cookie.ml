let sizes = [| 256; 536; 1220; 1360; 1400; 1440; 1460; 8960 |]
let tick = 64_000_000_000
let life = 2 * tick
let clock ~now = now / tick land 31

let hash key ~name ~peer_seq ~clock ~index =
  Siphash.hash key (Printf.sprintf "cookie%s%x.%x.%x" name peer_seq clock index) land 0xff_ffff

let make key ~now ~name ~peer_seq ~mss =
  let index = ref 0 in
  Array.iteri (fun i size -> if size <= mss then index := i) sizes;
  let clock = clock ~now in
  (clock lsl 27) lor (!index lsl 24) lor hash key ~name ~peer_seq ~clock ~index:!index

let check key ~now ~name ~peer_seq cookie =
  let then_ = cookie lsr 27 and index = (cookie lsr 24) land 7 in
  let age = (clock ~now - then_) land 31 in
  if age <= 1 && cookie land 0xff_ffff = hash key ~name ~peer_seq ~clock:then_ ~index then
    Some sizes.(index)
  else None

let no_scale = 15

let stamp (o : Mirust_wire.Tcp.options) ~timestamp =
  let scale = if o.window_scale >= 0 then o.window_scale else no_scale in
  let marked = timestamp land lnot 31 lor scale lor if o.sack_permitted then 16 else 0 in
  if marked > timestamp then Seq.add marked (-32) else marked

let unstamp echo =
  let scale = echo land 15 in
  ((if scale = no_scale then -1 else scale), echo land 16 <> 0)
