(* The network part of the C ABI (ffi/include/mirust.h); see the core library's Abi for how values
   are passed. A [value] is passed as it is: the callee only reads where a bigarray's bytes are.

   Those that allocate make a bigarray. *)

type words = (int, Bigarray.int_elt, Bigarray.c_layout) Bigarray.Array1.t

external open_ :
  string -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_net_open"
[@@noalloc]

external info : (int[@untagged]) -> bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_net_info"
[@@noalloc]

external stats : (int[@untagged]) -> bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_net_stats"
[@@noalloc]

external words : (int[@untagged]) -> words = "mirust_native_only" "mirust_net_words"
external heads : (int[@untagged]) -> Cstruct.buffer = "mirust_native_only" "mirust_net_heads"

external spare : (int[@untagged]) -> (int[@untagged]) -> Cstruct.buffer
  = "mirust_native_only" "mirust_net_spare"

external slab : (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_net_slab"
[@@noalloc]

external in_slab : (int[@untagged]) -> Cstruct.buffer -> (int[@untagged])
  = "mirust_native_only" "mirust_net_in_slab"
[@@noalloc]

external reserve : (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_net_reserve"
[@@noalloc]

external send :
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) ->
  Cstruct.t list ->
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) = "mirust_native_only" "mirust_net_send"
[@@noalloc]

external completed : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_net_completed"
[@@noalloc]

external receive : (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "mirust_net_receive"
[@@noalloc]

external view : (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> Cstruct.buffer
  = "mirust_native_only" "mirust_net_view"

external multicast : (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_net_multicast"
[@@noalloc]

external close : (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "mirust_net_close"
[@@noalloc]

external checksum : Cstruct.buffer -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_checksum"
[@@noalloc]
