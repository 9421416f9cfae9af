# ---- stop, status, observe, secrets --------------------------------------------------------------------
supervised() { alive "${S[super]-}" "${S[super_start]-}" && [[ ${S[boot]-} == "$BOOT" && ${S[host]-} == "$HOST" ]]; }
lives() { # RUN UNIT: whether it lives here -> PID
  PID=$(
    D=${RUN_DIR%/*}/$1/$2
    load_state || exit
    if supervised; then echo "${S[super]}"; elif alive "${S[pid]-}" "${S[start]-}" && [[ ${S[boot]-} == "$BOOT" ]]; then echo "${S[pid]}"; fi
  )
  [[ -n $PID ]]
}
marked() { # RUN/UNIT: the same by the mark alone, wherever its state is kept -> PID
  scan; read_marks
  for PID in "${!MARK[@]}"; do [[ ${MARK[$PID]} == "$1"/* && ${P_STATE[$PID]} != [ZX] ]] && return; done
  return 1
}
elsewhere() { # by hand, where no run was named: those of this cluster in which the unit lives
  local dir run numbers='-+([0-9])-*'
  [[ $RUN == "hand-$U_CLUSTER" ]] || return 0
  for dir in "${RUN_DIR%/*}/$U_CLUSTER"$numbers/"$U_UNIT"; do
    run=${dir%/*}; run=${run##*/}
    lives "$run" "$U_UNIT" && echo "toolorch: $U_UNIT: it runs in run $run (pid $PID): add \`--run $run\`" >&2
  done
  return 0
}
verb_stop() {
  local deadline known='' ran=''
  trap '' PIPE # whoever asked may be gone
  here_and_now
  open_dir || D=
  now_ms; deadline=$((NOW + GRACE_MS + 15000))
  # Read before the fence is looked at: a supervisor that a later owner starts is not in it.
  [[ -n $D ]] && load_state && known=1
  load_fence; superseded && exit 73
  [[ -n $known ]] && { supervised || alive "${S[pid]-}" "${S[start]-}"; } && ran=1
  if [[ -n $known ]] && supervised && [[ ${S[phase]} != @(exited|refused) ]]; then
    printf 'grace=%s\nreason=\n' "$GRACE" >"$D/stopping"
    kill -TERM "${S[super]}" 2>/dev/null; kill -CONT "${S[super]}" 2>/dev/null
    while ((NOW < deadline)) && supervised; do nap 0.02; now_ms; done
  fi
  STOPPING=1
  # A state that cannot be read names nobody to ask; whoever supervises goes with what it supervises.
  if [[ -n $D && -e $D/state ]] && ! load_state; then load_tree; end_all "$GRACE_MS"; fi
  if [[ -n $D ]]; then # nobody may start it while we look
    exec {LOCK}>>"$D/lock"
    # Held by a start that hangs, the last moments of a supervisor, or another `stop`, of an earlier owner maybe.
    until flock -w 0.5 "$LOCK"; do
      end_all "$GRACE_MS"
      now_ms; ((NOW < deadline + 10000)) || { say "its supervisor (pid ${S[super]-}) or another \`stop\` does not give way"; exit 1; }
    done
    load_state; load_tree
  fi
  if ! end_all "$GRACE_MS"; then say "could not end pid $LEFT"; exit 1; fi
  if [[ -n $D && ${S[phase]-} == @(starting|running|stopping) ]]; then # its supervisor was killed, or the machine restarted
    S[phase]=exited S[exit_code]= S[signal]= S[requested]=1 S[reason]="ended without its supervisor, the exit code is unknown"
    now_ms; S[ended_at]=$NOW; umask 077; save_state
  fi
  if [[ -z $ran && $RUN == "hand-$U_CLUSTER" ]]; then
    echo "toolorch: $U_UNIT: it did not run in run $RUN" >&2; elsewhere
  fi
  exit 0
}
phase_now() { # -> PHASE
  PHASE=${S[phase]}
  [[ $PHASE == @(exited|refused) ]] && return
  [[ ${S[host]} == "$HOST" ]] || { PHASE=elsewhere; return; }
  alive "${S[pid]}" "${S[start]}" && [[ ${S[boot]} == "$BOOT" ]] && return
  supervised || PHASE=lost
}
verb_status() {
  local s=yes
  here_and_now
  if ! open_dir || ! load_state; then echo "$U_UNIT: never started in run $RUN"; elsewhere; exit 3; fi
  phase_now; supervised || s=no
  local what="$U_UNIT: $PHASE generation=${S[generation]} pid=${S[pid]} port=${S[port]} gpus=${S[gpus]} launch=${S[launch]}"
  case $PHASE in
    exited | refused) echo "$what code=${S[exit_code]} signal=${S[signal]} requested=${S[requested]} reason=${S[reason]} log=${S[log]}"; exit 1 ;;
    elsewhere | lost) echo "$what host=${S[host]} log=${S[log]}"; exit 2 ;;
  esac
  echo "$what supervised=$s log=${S[log]}"
  exit 0
}
remote() { # ADDRESS:PORT in hex -> TEXT
  local h=${1%:*} p=$((16#${1#*:})) i w
  if [[ $h == 0000000000000000FFFF0000* ]]; then h=${h:24}; fi
  if ((${#h} == 8)); then
    TEXT=$((16#${h:6:2})).$((16#${h:4:2})).$((16#${h:2:2})).$((16#${h:0:2})):$p; return
  fi
  TEXT=
  for i in 0 8 16 24; do w=${h:i:8}; printf -v TEXT '%s%x:%x:' "$TEXT" $((16#${w:6:2}${w:4:2})) $((16#${w:2:2}${w:0:2})); done
  TEXT="[${TEXT%:}]:$p"
}
look_at_sockets() { # -> PORTS, REMOTES (JSON lists)
  local pid inode f own remotes=(); local -A port=() seen=()
  PORTS='' REMOTES=''
  # A look at a whole node has them, but for who came after it.
  for pid in "${OURS[@]}"; do [[ -n ${SOCKETS[$pid]+1} ]] || { look_at_net "${OURS[@]}"; break; }; done
  for pid in "${OURS[@]}"; do
    for inode in ${SOCKETS[$pid]-}; do
      f=(${NET_OF[$inode]-})
      case ${f[3]-} in
        0A) own=$((16#${f[1]#*:})); [[ -n ${port[$own]-} ]] || PORTS+=",$own"; port[$own]=1 ;;
        01) remotes+=("${f[1]#*:} ${f[2]}") ;;
      esac
    done
  done
  for own in "${remotes[@]}"; do
    # Who connected to us is a client of ours; whom we connected to is what matters here.
    [[ -z ${port[$((16#${own% *}))]-} && -z ${seen[${own#* }]-} ]] || continue
    seen[${own#* }]=1; remote "${own#* }"; REMOTES+=",\"$TEXT\""
  done
}
look_at_files() { # -> FDS (JSON): the process with the most open files, and its limit
  local pid fds most=-1 who='' limit=null line
  for pid in "${OURS[@]}"; do
    fds=(/proc/"$pid"/fd/*)
    ((${#fds[@]} > most)) && { most=${#fds[@]}; who=$pid; }
  done
  [[ -n $who ]] || { FDS='{"open":null,"limit":null,"max_pid":null}'; return; }
  while read -r line; do
    [[ $line == 'Max open files'* ]] && { line=($line); limit=${line[3]}; break; }
  done 2>/dev/null <"/proc/$who/limits"
  number "$limit"
  FDS="{\"open\":$most,\"limit\":$JSON,\"max_pid\":$who}"
}
look_at_results() { # -> RESULTS (JSON)
  local lines line count=0 bytes=0 newest=0 t
  RESULTS=null
  [[ -n $U_RESULTS ]] || return
  u_here "$U_RESULTS"
  if [[ $PLACE != /* ]]; then local dir=$PLACE; u_here "$U_CWD"; PLACE=$PLACE/$dir; fi
  [[ -e $PLACE ]] || return
  mapfile -t lines < <(find -H "$PLACE" -maxdepth 1 -type f -printf '%s %T@\n' 2>/dev/null)
  for line in "${lines[@]}"; do
    t=${line#* }; t=${t%%.*}; bytes=$((bytes + ${line%% *})) count=$((count + 1)); ((t > newest)) && newest=$t
  done
  ((newest)) && newest=${newest}000 || newest=null
  RESULTS="{\"files\":$count,\"bytes\":$bytes,\"newest_at\":$newest}"
}
declare -A LOG_BYTES=()
verb_observe() {
  local pid out key page=4096 list='' seen PORTS='' REMOTES='' log_bytes
  here_and_now; now_ms
  if ! open_dir || ! load_state; then
    S=([unit]=$U_UNIT [run]=$RUN [boot]=$BOOT [host]=$HOST); PHASE=never; OURS=(); [[ -n ${D-} ]] || D=
  else phase_now; [[ $PHASE == running && -z ${UNWATCHED-} ]] && printf '%s\n' "$NOW-$$" 2>/dev/null >"$D/seen"; fi
  [[ $HOSTTYPE == x86_64 ]] || page=$(getconf PAGESIZE 2>/dev/null || echo 4096)
  if [[ $PHASE != never ]]; then
    load_tree; ours; look_at_sockets
    [[ $PHASE == running && ${#OURS[@]} -gt 0 ]] && { umask 077; save_tree; }
  fi
  for pid in "${OURS[@]}"; do
    json "${P_COMM[$pid]//[!\ -~]/?}"
    list+=",{\"pid\":$pid,\"ppid\":${P_PPID[$pid]},\"state\":\"${P_STATE[$pid]}\",\"comm\":$JSON,\"rss_kib\":$((P_RSS[$pid] * page / 1024)),\"start\":${P_START[$pid]}}"
  done
  look_at_files; look_at_results
  log_bytes=${LOG_BYTES[${S[log]:-.}]-}
  [[ -n $log_bytes || -n ${SCANNED-} || -z ${S[log]-} ]] || log_bytes=$(stat -c %s -- "${S[log]}" 2>/dev/null)
  out='{"format":1'
  for key in unit run generation epoch launch host boot; do
    case $key in generation | epoch) number "${S[$key]-}" ;; *) json "${S[$key]-}" ;; esac
    out+=",\"$key\":$JSON"
  done
  if supervised; then seen=true; else seen=false; fi
  out+=",\"at\":$NOW,\"phase\":\"$PHASE\",\"supervised\":$seen"
  number "${S[pid]-}"; out+=",\"pid\":$JSON"; number "${S[start]-}"; out+=",\"start\":$JSON"
  number "${S[super]-}"; out+=",\"supervisor\":$JSON"; json "${S[log]-}"; out+=",\"log\":$JSON"
  out+=",\"processes\":[${list#,}],\"listening\":[${PORTS#,}],\"fds\":$FDS,\"remotes\":[${REMOTES#,}],\"results\":$RESULTS,\"log_bytes\":${log_bytes:-null}"
  number "${S[exit_code]-}"; out+=",\"exit_code\":$JSON"; json "${S[signal]-}"; out+=",\"signal\":$JSON"
  case ${S[requested]-} in 1) JSON=true ;; 0) JSON=false ;; *) JSON=null ;; esac
  out+=",\"requested\":$JSON"; json "${S[reason]-}"; out+=",\"reason\":$JSON}"
  printf '%s\n' "$out"
}
verb_secrets() {
  local name MISSING='' found=0
  open_dir make
  for name in "${U_PASS[@]}" "${U_MAY_PASS[@]}"; do [[ -n ${U_CALLER[$name]+1} ]] && found=1; done
  ((found)) || exit 0 # what the file has is still good
  read_secrets
  for name in "${U_PASS[@]}" "${U_MAY_PASS[@]}"; do
    [[ -n ${U_CALLER[$name]+1} ]] && U_PASSED[$name]=${U_CALLER[$name]}
    if [[ -n ${U_PASSED[$name]+1} ]]; then printf '%s=%s\0' "$name" "${U_PASSED[$name]}"; fi
  done >"$D/.new/secrets" && mv -f -- "$D/.new/secrets" "$D/secrets"
}

# ---- The command line ----------------------------------------------------------------------------------
main() {
  local verb=${1-} value
  RUN=hand-$U_CLUSTER GENERATION='' EPOCH='' LAUNCH='' LOG='' PORT='' CONCURRENCY='' GRACE=$U_GRACE
  [[ $verb == @(run|status|observe|stop|secrets) ]] || usage "usage: $0 run|status|observe|stop|secrets [options]; the head of the file explains them"
  shift
  while (($#)); do
    (($# >= 2)) || usage "\`$1\` needs a value"
    value=$2
    case $1 in
      --run) [[ $value =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$ ]] || usage "\`$value\` is not a run name"; RUN=$value ;;
      --generation) [[ $value =~ ^[1-9][0-9]{0,8}$ ]] || usage "\`$value\` is not a generation"; GENERATION=$value ;;
      --epoch) [[ $value =~ ^(0|[1-9][0-9]{0,8})$ ]] || usage "\`$value\` is not an epoch"; EPOCH=$value ;;
      --launch) [[ $value =~ ^[A-Za-z0-9._-]{1,80}$ ]] || usage "\`$value\` is not a launch id"; LAUNCH=$value ;;
      --log) [[ $value == /* ]] || value=$PWD/$value; LOG=$value ;;
      --gpus) [[ $value =~ ^[A-Za-z0-9,:_/-]*$ ]] || usage "\`$value\` is not a list of GPUs"; GPUS=$value ;;
      --port) [[ $value =~ ^[1-9][0-9]{0,4}$ ]] && ((value < 65536)) || usage "\`$value\` is not a port"; PORT=$value ;;
      --concurrency)
        [[ $value =~ ^[1-9][0-9]{0,9}$ && -n $(declare -p "U_ARGV_$value" 2>/dev/null) ]] || usage "\`$U_UNIT\` has no words for \`$value\` questions in flight"
        CONCURRENCY=$value ;;
      --grace) GRACE=$value ;;
      *) usage "unknown option \`$1\`" ;;
    esac
    shift 2
  done
  to_ms "$GRACE" || usage "\`$GRACE\` is not a number of seconds"; GRACE_MS=$MS
  case $verb in
    run) verb_run ;;
    status) verb_status ;;
    observe) verb_observe ;;
    stop) verb_stop ;;
    secrets) verb_secrets ;;
  esac
}
