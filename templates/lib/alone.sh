# ---- When nobody watches -------------------------------------------------------------------------------
# The owner of the run writes a line to RUN/.heartbeat every 10 s: `pid=… start=… epoch=… at=… then=down|keep`.  Its
# text is compared, never its time, and time is counted look by look, no look for more than two: neither a clock that
# is set nor a machine that slept makes a unit think that it is alone.
U_ALONE=120     # seconds without owner and movement after which an evaluation tells U_NOTIFY
U_DONE_IDLE=600 # U_IDLE of a server whose owner went with `then=down`
U_SAID=1048576  # bytes of what U_NOTIFY says in one call that are kept, and after which its log is begun anew
begin_alone() {
  SCALE=${U_CALLER[TOOLORCH_TIME_SCALE]-}; [[ $SCALE =~ ^([1-9][0-9]?|100)$ ]] || SCALE=1
  PACE_MAX=$((10000 / SCALE)); ((PACE_MAX >= 200)) || PACE_MAX=200
  BEAT='' WORK='' ALONE=0 QUIET=0 AGE=0 TOLD='' CALLED=''
  read_up; LOOKED=$UP
}
read_up() { read -r UP _ </proc/uptime; UP=$((10#${UP/./} * 10)); } # ms since the machine started, asleep or not
owner_line() { # -> LINE: what the owner, or whoever observes us, wrote last
  local text; LINE=''
  { read -r text <"${D%/*}/.heartbeat"; } 2>/dev/null && LINE=$text
  { read -r text <"$D/seen"; } 2>/dev/null && LINE+=" seen=$text"
  return 0
}
connected() { # somebody is connected to a port of ours, at our address where that is a number: nodes may share a machine
  local port at='[0-9A-F]+'
  [[ -n ${S[port]-} ]] || return 1
  printf -v port '|%04X' "${S[port]}" "${U_MORE_PORTS[@]}"
  if [[ $U_HOST == +([0-9]).+([0-9]).+([0-9]).+([0-9]) && $U_HOST != 0.0.0.0 ]]; then
    hex4 "$U_HOST"; at="(0000000000000000FFFF0000)?$HEX"
  fi
  grep -sqE "^ *[0-9]+: $at:(${port#|}) [0-9A-F]+:[0-9A-F]{4} 01 " /proc/net/tcp /proc/net/tcp6
}
at_work() { # since the last call the log grew, a result came, or somebody asked our port
  local before=$WORK size moved=0
  size=$(stat -c %s -- "${S[log]}" 2>/dev/null); size=${size:-0}
  look_at_results; WORK="$size $RESULTS"
  if [[ ${before#* } != "$RESULTS" ]]; then moved=1
  # Some releases of vLLM say every few seconds that nothing happens.
  elif ((size != ${before%% *})) && { ((size < ${before%% *})) || tail -c "+$((${before%% *} + 1))" -- "${S[log]}" 2>/dev/null | head -c 65536 |
    grep -qvE '^$|prompt throughput: 0\.0 .*generation throughput: 0\.0 .*Running: 0 reqs'; }; then moved=1; fi
  ((moved)) || connected
}
look_alone() { # how long we have been alone, and how long nothing moved either; what follows from it
  local step limit=$U_IDLE
  read_up; step=$((UP - LOOKED)); LOOKED=$UP
  ((step > 2 * PACE_MAX)) && step=$((2 * PACE_MAX))
  step=$((step * SCALE)); AGE=$((AGE + step))
  owner_line
  if [[ $LINE != "$BEAT" ]]; then
    BEAT=$LINE WORK='' ALONE=0 QUIET=0
    [[ -s $D/alone ]] && : >"$D/alone"
    return 0
  fi
  ALONE=$((ALONE + step))
  [[ -z $limit && -n ${S[port]-} && $BEAT == *then=down* ]] && limit=$U_DONE_IDLE
  [[ -n $limit ]] || ((${#U_NOTIFY[@]})) || return 0
  if [[ -z $WORK ]]; then WORK='0 '; at_work; QUIET=0; elif at_work; then QUIET=0; else QUIET=$((QUIET + step)); fi
  ((ALONE >= 3 * PACE_MAX * SCALE)) && printf 'alone_ms=%s\nquiet_ms=%s\nlimit_ms=%s\n' "$ALONE" "$QUIET" "${limit:+${limit}000}" 2>/dev/null >"$D/alone"
  if ((${#U_NOTIFY[@]} && QUIET >= U_ALONE * 1000)) && [[ -n $BEAT && (-z $TOLD || $((AGE - TOLD)) -ge ${U_NOTIFY_EVERY}000) ]]; then
    TOLD=$AGE; tell_alone
  fi
  if [[ -n $limit ]] && ((QUIET >= limit * 1000)); then
    limit="idle for $limit s"; [[ -n $U_IDLE ]] || limit+=" without a controller that would take it down"
    printf 'reason=%s\n' "$limit" >"$D/stopping"; kill -TERM "$$"
  fi
  return 0
}
tell_alone() {
  local who='nobody is there' pid start
  [[ $BEAT =~ pid=([0-9]+)\ start=([0-9]+) ]] && pid=${BASH_REMATCH[1]} start=${BASH_REMATCH[2]}
  if alive "${pid-}" "${start-}"; then who="the controller, pid $pid, is there but silent"
  elif [[ -n ${pid-} ]]; then who="the controller, pid $pid, is gone"; fi
  call_notify unwatched "nobody watches \`$RUN\` and nothing moves: $who for $((ALONE / 1000)) s, and \`$U_UNIT\` wrote no result and no line for $((QUIET / 1000)) s; look with \`toolorch status\`, watch again with \`toolorch up\`"
}
call_notify() { # ALARM TEXT: one JSON object on the standard input of U_NOTIFY; one call at a time, none longer than 30 s
  local out at key log=${S[log]%/*}/notify.log
  say "alarm: $2"
  [[ -z $CALLED ]] || ! kill -0 "$CALLED" 2>/dev/null || return 0
  TZ=UTC0 printf -v at '%(%FT%TZ)T' -1
  out='{"format":1,"event":"alarm","level":"warning"'
  for key in cluster:"$U_CLUSTER" run:"$RUN" alarm:"$1" unit:"$U_UNIT" eval:"${U_UNIT#eval-}" text:"$2" at:"$at" host:"$HOST"; do
    json "${key#*:}"; out+=",\"${key%%:*}\":$JSON"
    [[ $key != eval:* ]] || out+=',"code":null'
  done
  (($(stat -c %s -- "$log" 2>/dev/null || echo 0) < U_SAID)) || mv -fT -- "$log" "$log.1"
  # Not a pipe to us: what it says goes to the log, and it may outlive us.
  printf '%s\n' "$out,\"more\":0}" 2>/dev/null | notify_child 2>&1 | { head -c "$U_SAID"; cat >/dev/null; } >>"$log" 2>/dev/null &
  CALLED=$!
}
notify_child() { # whatever it started and left behind carries its mark, and is ended when its time is over
  local name names code began=$SECONDS mark=$RUN/$U_UNIT-$BASHPID left
  trap - INT TERM HUP QUIT PIPE
  if [[ -n $U_LC_ALL_SET ]]; then LC_ALL=$U_LC_ALL; else unset LC_ALL; fi
  mapfile -t names < <(compgen -e)
  shopt -s nocasematch
  for name in "${names[@]}"; do [[ $name == @($U_CREDENTIALS) ]] && unset -v "$name"; done
  builtin cd -- "$U_NOTIFY_DIR" 2>/dev/null || builtin cd / || exit
  TOOLORCH_NOTIFY=$mark timeout --kill-after=5 30 "${U_NOTIFY[@]}"; code=$?
  while mapfile -t left < <(grep -slzxF -- "TOOLORCH_NOTIFY=$mark" /proc/[0-9]*/environ) && ((${#left[@]})); do
    ((SECONDS - began < 30)) || { left=("${left[@]#/proc/}"); kill -KILL "${left[@]%/environ}" 2>/dev/null; }
    sleep 0.2
  done
  exit "$code"
}
