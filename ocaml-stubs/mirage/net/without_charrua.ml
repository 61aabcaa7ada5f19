module Dhcp_wire = struct
  type dhcp_option = Hostname of string

  let int_to_option_code_exn (code : int) = code
end
