# ---- Weights on the machine's own disk (runs in the forked child) ----------------------------------------
# U_STAGE=(DIR REPO REVISION): what the cache has of it is copied once, by whoever comes first.  Blobs are named by their content and
# get their names when they are whole.
u_stage() {
  local U_I U_FROM U_TO U_REV U_NEED=0 U_FREE U_SIZE U_LINKS U_TURN U_SINCE=$SECONDS U_REPO=models--${U_STAGE[1]//\//--}
  ((${#U_STAGE[@]})) || return 0
  u_here "${HF_HUB_CACHE:-${HF_HOME:-${HOME-}/.cache/huggingface}/hub}"; U_FROM=$PLACE/$U_REPO
  u_here "${U_STAGE[0]}"; U_TO=$PLACE/hub/$U_REPO
  U_REV=${U_STAGE[2]}
  if [[ -f $U_FROM/refs/$U_REV ]]; then U_REV=$(<"$U_FROM/refs/$U_REV"); fi
  [[ -d $U_FROM/snapshots/$U_REV ]] || u_refuse "\`${U_STAGE[1]}\` (${U_STAGE[2]}) is not in \`${U_FROM%/*}\`, from where it is to be copied: bring it there first (toolorch fetch)"
  mkdir -p -- "${U_TO%/*}" && exec {U_TURN}>>"${U_TO%/*}/.toolorch-stage" || u_refuse "\`${U_STAGE[0]}\` cannot be written"
  flock "$U_TURN"
  # Another server only read it, where it was.
  [[ ! -L $U_TO ]] || rm -f -- "$U_TO"
  mkdir -p -- "$U_TO"/{blobs,snapshots,refs} || u_refuse "\`${U_STAGE[0]}\` cannot be written"
  mapfile -d '' -t U_LINKS < <(find "$U_FROM/snapshots/$U_REV" -type l -printf '%l\0')
  U_LINKS=("${U_LINKS[@]##*/}")
  for U_I in "${!U_LINKS[@]}"; do
    U_SIZE=$(stat -c %s -- "$U_FROM/blobs/${U_LINKS[U_I]}") || u_refuse "\`$U_FROM\` is not whole: bring it there again (toolorch fetch)"
    # A machine that lost power may have kept the name and not what was in it.
    if [[ -f $U_TO/blobs/${U_LINKS[U_I]} && $(stat -c %s -- "$U_TO/blobs/${U_LINKS[U_I]}") == "$U_SIZE" ]]; then unset "U_LINKS[U_I]"; continue; fi
    ((U_NEED += U_SIZE))
  done
  read -r U_FREE U_SIZE < <(stat -f -c '%a %S' -- "$U_TO")
  ((U_NEED <= U_FREE * U_SIZE)) || u_refuse "\`${U_STAGE[0]}\` has $((U_FREE * U_SIZE >> 20)) MiB free, and $((U_NEED >> 20)) MiB of \`${U_STAGE[1]}\` are to be copied there"
  ((U_NEED == 0)) || echo "toolorch: copies $((U_NEED >> 20)) MiB of ${U_STAGE[1]} from $U_FROM to $U_TO"
  rm -f -- "$U_TO"/blobs/.new.*
  for U_I in "${U_LINKS[@]}"; do
    cp -- "$U_FROM/blobs/$U_I" "$U_TO/blobs/.new.$BASHPID" && mv -f -- "$U_TO/blobs/.new.$BASHPID" "$U_TO/blobs/$U_I" || u_refuse "\`$U_FROM/blobs/$U_I\` cannot be copied to \`$U_TO\`"
  done
  if [[ ! -d $U_TO/snapshots/$U_REV ]]; then
    rm -rf -- "$U_TO"/snapshots/.new.*
    cp -a -- "$U_FROM/snapshots/$U_REV" "$U_TO/snapshots/.new.$BASHPID" && mv -T -- "$U_TO/snapshots/.new.$BASHPID" "$U_TO/snapshots/$U_REV" || u_refuse "\`$U_FROM/snapshots/$U_REV\` cannot be copied to \`$U_TO\`"
  fi
  cp -a -- "$U_FROM/refs/." "$U_TO/refs/" 2>/dev/null
  # What else it may load is read where it is.
  for U_I in "${U_FROM%/*}"/models--*; do [[ -e ${U_TO%/*}/${U_I##*/} ]] || ln -s -- "$U_I" "${U_TO%/*}/" 2>/dev/null; done
  exec {U_TURN}>&-
  ((U_NEED == 0)) || echo "toolorch: copied in $((SECONDS - U_SINCE)) s"
  export HF_HUB_CACHE=${U_TO%/*}
}
