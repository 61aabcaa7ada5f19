include Mirust.Pclock
