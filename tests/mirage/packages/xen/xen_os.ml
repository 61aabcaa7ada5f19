module Eventchn = Eventchn
module Grants = Grants
module Main = Main
module Memory = Memory
module Xs = Xs
