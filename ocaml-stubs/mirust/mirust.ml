module Bootvar = Bootvar
module Completion = Completion
module Budget = Budget
module Collect = Collect
module Console = Console
module Log = Log
module Main = Main
module Mclock = Mclock
module Pclock = Pclock
module Random = Random
module Stats = Stats
module Time = Time

exception Panic = Setup.Panic
