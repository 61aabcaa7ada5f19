(* What of an OCaml program is unreachable. A program consists of whole modules, and the initialisation
   of a module refers to all of its functions, since it makes them the module's fields. Here such a reference counts
   only if the field is read. *)

open Elf
open Parts
open Fields
open Switches
open Made

(* What is known of one module. *)
type fields = {
  mutable read : int list;  (** Their offsets. *)
  mutable whole : bool;
  mutable fillings : (int * (part * filling)) list;
      (** By offset, with the function that does it. *)
  mutable puts : (int * value) list;  (** What is computed for a field, by its offset. *)
}

let modules_of symbols =
  let modules = Hashtbl.create 256 in
  Array.iter
    (fun (s : symbol) ->
      match without_suffix ".data_begin" s.label with
      | Some label when of_module label ->
          Hashtbl.replace modules label { read = []; whole = false; fillings = []; puts = [] }
      | _ -> ())
    symbols;
  modules

(* What a program's code refers to, as far as modules are concerned. *)
type survey = {
  code : code;
  modules : (string, fields) Hashtbl.t;
  about_modules : (string, fields * (part * int) option) Hashtbl.t;
      (** References to modules, by the part that has them; with the place of a load that can be
          followed. *)
  conditional : (int * int, unit) Hashtbl.t;
      (** Places of references that count only if a field is read. *)
  read_anyway : (string, fields * int) Hashtbl.t;
      (** Fields that initialisations read in any case, by the initialisation. *)
  mutable only_put : (part * int * part) list;
      (** Static blocks that initialisations only put into fields, and where. *)
}

let relocs_of_code elf parts =
  let reloc_at = Hashtbl.create 65536 in
  each_reloc elf (fun index section _ r ->
      if is_text section && part_at parts index r.at <> None then
        Hashtbl.replace reloc_at (index, r.at) r);
  reloc_at

(* The places at which the collector's list of roots refers to modules. *)
let roots_of_collector symbols ~data_index =
  let roots = Hashtbl.create 256 in
  Array.iter
    (fun (s : symbol) ->
      if s.section = data_index && String.ends_with ~suffix:".gc_roots" s.label then
        Hashtbl.replace roots s.value ())
    symbols;
  roots

(* Notes what a module's initialisation makes, unless it is not understood. *)
let note_made survey (initialisation : part) =
  let fields_of label = Hashtbl.find survey.modules label in
  let note_origin o =
    Hashtbl.replace survey.conditional (initialisation.home, o.at) ();
    match o.data with
    | Module label ->
        List.iter
          (fun offset ->
            Hashtbl.add survey.read_anyway initialisation.label (fields_of label, offset))
          o.read
    | Block block -> survey.only_put <- (initialisation, o.at, block) :: survey.only_put
  in
  match make survey.code initialisation ~is_module:(Hashtbl.mem survey.modules) with
  | exception (Leave | Invalid_argument _) -> ()
  | made ->
      List.iter
        (fun (label, offset, value) ->
          let fields = fields_of label in
          fields.puts <- (offset, value) :: fields.puts)
        made.puts;
      List.iter (fun o -> if not o.lost then note_origin o) made.origins

(* Notes a reference to a module by its own symbol, from section [index]. *)
let note_reference survey label fields ~roots ~data_index index (r : reloc) =
  match part_at survey.code.parts index r.at with
  | Some part -> (
      let plain = part.is_code && of_got r.how && r.addend = -4 in
      match
        if plain && part.label = label ^ ".entry" then filling survey.code part r.at else None
      with
      | Some (offset, how) -> (
          fields.fillings <- (offset, (part, how)) :: fields.fillings;
          match how with
          | Static { at; _ } -> Hashtbl.replace survey.conditional (index, at) ()
          | From _ | Computed -> ())
      | None ->
          if not (Hashtbl.mem survey.conditional (index, r.at)) then
            Hashtbl.add survey.about_modules part.label
              (fields, if plain then Some (part, r.at) else None))
  | None -> if not (index = data_index && Hashtbl.mem roots r.at) then fields.whole <- true

(* Notes a reference by another symbol, which may lead into a module: what is read through it is not followed. *)
let note_other_reference survey (s : symbol) (r : reloc) =
  let { parts; symbols; _ } = survey.code in
  let is_module p = (not p.is_code) && target_of s r > p.first in
  let use p =
    if is_module p then
      Option.iter (fun fields -> fields.whole <- true) (Hashtbl.find_opt survey.modules p.label)
  in
  List.iter use (targets parts symbols r)

let survey elf symbols parts switches =
  let data_index, _ = find elf ".data" in
  let reloc_at = relocs_of_code elf parts in
  let survey =
    {
      code = { elf; symbols; parts; reloc_at; has_table = owners switches };
      modules = modules_of symbols;
      about_modules = Hashtbl.create 1024;
      conditional = Hashtbl.create 4096;
      read_anyway = Hashtbl.create 1024;
      only_put = [];
    }
  in
  List.iter
    (fun p ->
      match without_suffix ".entry" p.label with
      | Some label when p.is_code && Hashtbl.mem survey.modules label -> note_made survey p
      | _ -> ())
    parts.all;
  let roots = roots_of_collector symbols ~data_index in
  each_reloc elf (fun index _ _ r ->
      let s : symbol = symbols.(r.symbol) in
      match Hashtbl.find_opt survey.modules s.label with
      | None -> note_other_reference survey s r
      | Some fields -> note_reference survey s.label fields ~roots ~data_index index r);
  survey

(* Notes which parts each part refers to, and marks those that something outside all parts refers to. *)
let refer survey switches ~is_return ~mark =
  let { elf; symbols; parts; _ } = survey.code in
  let data_index, _ = find elf ".data" in
  each_reloc elf (fun index section _ r ->
      if
        not
          (Hashtbl.mem survey.conditional (index, r.at)
          || Hashtbl.mem survey.modules symbols.(r.symbol).label)
      then
        let refers = targets parts symbols r in
        match part_at parts index r.at with
        | Some p -> p.refers <- refers @ p.refers
        | None ->
            if is_constants section then
              match entry switches parts symbols index r with
              | Within _ -> ()
              | To others -> List.iter mark others
            else if not (index = data_index && is_return r.at) then List.iter mark refers)

(* Marks the program's beginning, and what may be called without a relocation: code of a unit's own that has a local
   symbol. *)
let mark_roots survey ~mark =
  let { symbols; parts; _ } = survey.code in
  let has_local = Hashtbl.create 16 in
  Array.iter
    (fun (s : symbol) ->
      if s.is_local && not s.is_section then Hashtbl.replace has_local (s.section, s.value) ())
    symbols;
  List.iter
    (fun p ->
      if
        p.label = "caml_program"
        || Hashtbl.mem survey.modules p.label
        || (p.is_code && Hashtbl.mem has_local (p.home, p.first))
      then mark p)
    parts.all

(* A field is read: marks what it is filled with. *)
let rec read_field survey ~mark fields offset =
  let fill = function
    | _, Static { block; _ } -> mark block
    | _, From offset -> read_field survey ~mark fields offset
    | _, Computed -> ()
  in
  if not (List.mem offset fields.read) then (
    fields.read <- offset :: fields.read;
    List.iter (fun (o, how) -> if o = offset then fill how) fields.fillings;
    List.iter (fun (o, value) -> if o = offset then need survey ~mark value) fields.puts)

and need survey ~mark = function
  | Unknown -> ()
  | Constant { data = Block block; _ } -> mark block
  | Inside ({ data = Module label; _ }, _) ->
      use_whole survey ~mark (Hashtbl.find survey.modules label)
  | Loaded ({ data = Module label; _ }, offset) ->
      read_field survey ~mark (Hashtbl.find survey.modules label) offset
  | Constant _ | Inside _ | Loaded _ -> assert false
  | Fresh (chunk, at) -> (
      match block_at chunk at with
      | Some made when not made.needed ->
          made.needed <- true;
          List.iter (need survey ~mark) made.holds
      | Some _ | None -> ())

and use_whole survey ~mark fields =
  fields.whole <- true;
  List.iter (fun (offset, _) -> read_field survey ~mark fields offset) fields.fillings;
  List.iter (fun (offset, _) -> read_field survey ~mark fields offset) fields.puts

(* A part that is in use refers to a module. *)
let follow_reference survey ~mark (fields, reference) =
  let apply = function
    | Field offset -> read_field survey ~mark fields offset
    | Whole -> use_whole survey ~mark fields
  in
  if not fields.whole then
    match reference with
    | None -> use_whole survey ~mark fields
    | Some (part, at) -> List.iter apply (follow_load survey.code part at)

(* Marks the parts that are in use. Gives what is known of the modules, and the places where their initialisation loads
   static blocks only to put them into fields. [is_return at]: whether a place in .data is that of a return address in a
   frame table, which keeps nothing. *)
let mark_used elf symbols parts switches ~is_return =
  let survey = survey elf symbols parts switches in
  let waiting = Queue.create () in
  let mark p =
    if not p.live then (
      p.live <- true;
      Queue.add p waiting)
  in
  refer survey switches ~is_return ~mark;
  mark_roots survey ~mark;
  Hashtbl.iter (fun _ fields -> if fields.whole then use_whole survey ~mark fields) survey.modules;
  let rec run () =
    match Queue.take_opt waiting with
    | None -> ()
    | Some p ->
        List.iter mark p.refers;
        List.iter
          (fun (fields, offset) -> read_field survey ~mark fields offset)
          (Hashtbl.find_all survey.read_anyway p.label);
        List.iter (follow_reference survey ~mark) (Hashtbl.find_all survey.about_modules p.label);
        run ()
  in
  run ();
  (survey.code, survey.modules, survey.only_put)

(* Return addresses in functions that are not used, by their places in .data. The function is that of the call before
   the address: if it ends with the call, then the address is the next one's. *)
let unused_returns elf symbols parts ~is_return =
  let _, relocs = find elf ".rela.data" in
  let found = Hashtbl.create 4096 in
  Seq.iter
    (fun at ->
      let r = reloc elf.file at in
      let unused p = p.is_code && not p.live in
      if
        r.how = r_64 && is_return r.at
        && List.exists unused (targets parts symbols { r with addend = r.addend - 1 })
      then Hashtbl.replace found r.at ())
    (entries relocs);
  found

(* What fills fields that are never read: the function, and the place of the relocation in it. *)
let idle_fillings modules only_put =
  let idle =
    ref (List.filter_map (fun (p, at, block) -> if block.live then None else Some (p, at)) only_put)
  in
  let look = function
    | _, (part, Static { at; block }) when not block.live -> idle := (part, at) :: !idle
    | _ -> ()
  in
  Hashtbl.iter (fun _ fields -> List.iter look fields.fillings) modules;
  !idle

(* Takes the references of what is not used out of the object, and what refers to it. Its code is made to trap; the
   linker drops it where it has a section of its own. Its data is left for the caller to cut. *)
let drop_unused elf symbols parts switches modules only_put ~returns =
  let data_index, _ = find elf ".data" in
  let idle = idle_fillings modules only_put in
  let dead section at =
    match part_at parts section at with Some p -> not p.live | None -> false
  in
  let idle_places = Hashtbl.create 1024 in
  List.iter (fun ((p : part), at) -> Hashtbl.replace idle_places (p.home, at) ()) idle;
  each_reloc elf (fun index section place r ->
      let dropped = index = data_index && Hashtbl.mem returns r.at in
      if dropped || dead index r.at || Hashtbl.mem idle_places (index, r.at) then
        forget elf place ~now_at:r.at
      else if is_constants section then
        match entry switches parts symbols index r with
        | Within owner when not owner.live -> forget elf place ~now_at:r.at
        | Within _ | To _ -> ());
  (* mov $1, %REG in place of the load of an address, which is as long: the field stays as it was, or a block is put
     into it that refers to nothing. *)
  Hashtbl.iter
    (fun (home, at) () ->
      let place = elf.sections.(home).offset + at - 3 in
      let reg = (X86.decode elf.file place).reg in
      Bytes.set_uint8 elf.file place (if reg < 8 then 0x48 else 0x49);
      Bytes.set_uint8 elf.file (place + 1) 0xc7;
      Bytes.set_uint8 elf.file (place + 2) (0xc0 lor (reg land 7));
      set_u32 elf.file (place + 3) 1)
    idle_places;
  List.iter
    (fun p ->
      if p.is_code && not p.live then
        Bytes.fill elf.file (elf.sections.(p.home).offset + p.first) (p.stop - p.first) '\xcc')
    parts.all
