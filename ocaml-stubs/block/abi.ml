(* The part of the C ABI that is about disks (ffi/include/mirust.h); see the core library's Abi for how
   values are passed. A [value] is passed as it is: the callee only reads where a bigarray's bytes are. *)

external open_ :
  string -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_block_open"
[@@noalloc]

external info : (int[@untagged]) -> bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_block_info"
[@@noalloc]

external stats : (int[@untagged]) -> bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_block_stats"
[@@noalloc]

external on_change : (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_block_on_change"
[@@noalloc]

external submit :
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) ->
  Cstruct.t list ->
  (int[@untagged]) ->
  (int[@untagged]) = "mirust_native_only" "mirust_block_submit"
[@@noalloc]

external result : (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "mirust_block_result"
[@@noalloc]

external align : Cstruct.buffer -> (int[@untagged]) = "mirust_native_only" "mirust_block_align"
[@@noalloc]

external close : (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "mirust_block_close"
[@@noalloc]
