module Bootvar = Bootvar
module Completion = Completion
module Budget = Budget
module Collect = Collect
module Console = Console
module Exchange = Exchange
module Log = Log
module Main = Main
module Mclock = Mclock
module Memory = Memory
module Pclock = Pclock
module Places = Places
module Random = Random
module Stats = Stats
module Streams = Streams
module Suspend = Suspend
module Time = Time

exception Panic = Setup.Panic
exception Unavailable = Setup.Unavailable

let platform () =
  let b = Bytes.create 16 in
  Bytes.sub_string b 0 (min 16 (Abi.platform_name b 16))
