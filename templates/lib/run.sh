# ---- run: the supervisor ------------------------------------------------------------------------------
refuse() { # CODE REASON: nothing was started
  S[phase]=refused S[exit_code]=$1 S[reason]=$2 S[requested]=0 S[signal]=
  now_ms; S[ended_at]=$NOW
  save_state; say "$2"
  drop_claims
  exit "$1"
}
declare -A U_PASSED=()
read_secrets() { # file `secrets` (NUL-separated NAME=VALUE) over the caller's environment -> U_PASSED
  local pairs=() pair name; local -A kept=()
  if [[ -f $D/secrets && ! -L $D/secrets && -O $D/secrets ]]; then mapfile -d '' -t pairs <"$D/secrets"; fi
  for pair in "${pairs[@]}"; do [[ $pair == $U_VALID=* ]] && kept[${pair%%=*}]=${pair#*=}; done
  for name in "${U_PASS[@]}" "${U_MAY_PASS[@]}"; do
    if [[ -n ${kept[$name]+1} ]]; then U_PASSED[$name]=${kept[$name]}
    elif [[ -n ${U_CALLER[$name]+1} ]]; then U_PASSED[$name]=${U_CALLER[$name]}
    elif [[ " ${U_PASS[*]} " == *" $name "* ]]; then MISSING+="${MISSING:+, }\`$name\`"; fi
  done
}
put_port() { # another port than the plan's: in the arguments and values that hold the plan's
  local i option; option='*[Pp][Oo][Rr][Tt]*'
  for ((i = 1; i < ${#U_ARGV[@]}; i++)); do
    if [[ ${U_ARGV[i]} == "$U_PORT" && ${U_ARGV[i - 1]} == -$option ]]; then U_ARGV[i]=$1
    elif [[ ${U_ARGV[i]} == -$option=$U_PORT ]]; then U_ARGV[i]=${U_ARGV[i]%"$U_PORT"}$1; fi
  done
  for ((i = 0; i < ${#U_SET[@]}; i += 2)); do
    [[ ${U_SET[i]} == $option && ${U_SET[i + 1]} == "$U_PORT" ]] && U_SET[i + 1]=$1
  done
  U_PORT=$1
}
slow_down() { # the words for fewer questions in flight; what is set later wins
  local -n argv=U_ARGV_$1 set=U_SET_$1
  U_ARGV=("${argv[@]}") U_SET+=("${set[@]}")
}
record() { # the recorder: writes down descendants while the leader lives, so that none is lost with it
  trap '' INT TERM HUP QUIT; trap : PIPE
  local rc ms=500 pace looked=0
  begin_alone
  eval "exec $LOCK>&-"; [[ -n ${CLAIMED-} ]] && eval "exec $CLAIMED>&-"; [[ -n ${NAP-} ]] && eval "exec $NAP>&-"
  while :; do
    ((ms < PACE_MAX)) || ms=$PACE_MAX
    printf -v pace '%d.%03d' $((ms / 1000)) $((ms % 1000))
    read -rt "$pace" _; rc=$?
    load_tree; ours quick; save_tree
    ((looked)) || compare_environment
    ((rc > 128)) || break # the supervisor is gone
    look_alone
    case $ms in 500) ms=1000 ;; 1000) ms=2000 ;; 2000) ms=5000 ;; *) ms=10000 ;; esac
  done
}
compare_environment() { # names in which the real environment differs from the intended one -> environ.diff
  local pairs pair name text=; local -A want=() have=()
  mapfile -d '' -t pairs 2>/dev/null <"/proc/${S[pid]}/environ"
  for pair in "${pairs[@]}"; do have[${pair%%=*}.]=1; done
  [[ -n ${have[TOOLORCH_UNIT.]-} ]] || return # not started yet
  want[_.]=1 want[SHLVL.]=1 have[_.]=1 have[SHLVL.]=1 # bash adds these two at exec
  looked=1
  mapfile -t pairs 2>/dev/null <"$D/intended"
  for name in "${pairs[@]}"; do [[ -n $name ]] && want[$name.]=1; done
  for name in "${!have[@]}"; do [[ -n ${want[$name]-} ]] || text+="+${name%.}"$'\n'; done
  for name in "${!want[@]}"; do [[ -n ${have[$name]-} ]] || text+="-${name%.}"$'\n'; done
  [[ -n $text ]] && printf %s "$text" >"$D/environ.diff"
}
take_place() { # the lock, then the fences: one supervisor per unit, and never an older one after a newer
  local waited=
  here_and_now
  exec {LOCK}>>"$D/lock"
  # A supervisor keeps it for as long as it lives, a `stop` that comes to its end for a moment.
  until flock -w 0.2 "$LOCK"; do
    waited+=.
    if ((${#waited} > 50)) || { load_state && supervised && [[ ${S[phase]} != @(exited|refused) ]]; }; then
      say "already supervised: lock \`$D/lock\` is held"; exit 75
    fi
  done
  [[ -n $waited && -n $U_PORT ]] && peek_at "${PORT:-$U_PORT}" # what was seen before is past
  load_fence
  if [[ -n $GENERATION && $GENERATION -le $GENERATION_SEEN ]]; then say "superseded: generation $GENERATION, but $GENERATION_SEEN was started already"; exit 73; fi
  superseded && exit 73
  if load_state && [[ ${S[phase]} == @(starting|running|stopping) && ${S[boot]} == "$BOOT" ]]; then
    load_tree; ours
    if ((${#OURS[@]})); then say "already runs, without a supervisor (pid ${OURS[*]}); \`stop\` it first"; exit 75; fi
  fi
  GENERATION=${GENERATION:-$((GENERATION_SEEN + 1))} EPOCH=${EPOCH:-$EPOCH_SEEN}
  printf 'generation=%s\nepoch=%s\n' "$GENERATION" "$EPOCH" >"$D/.new/fence"
}
first_state() {
  local line='' limits
  u_read_stat "$$"; now_ms
  S=([unit]=$U_UNIT [run]=$RUN [generation]=$GENERATION [epoch]=$EPOCH [launch]=${LAUNCH:-hand-$NOW-$$} [host]=$HOST [boot]=$BOOT
    [super]=$$ [super_start]=$ST_START [port]=$U_PORT [gpus]=${GPUS-$U_GPUS} [log]=${LOG:-$D/log} [started_at]=$NOW [phase]=starting)
  if [[ -n $U_OPEN_FILES ]]; then
    while [[ $line != 'Max open files'* ]] && IFS= read -r line; do :; done </proc/self/limits
    limits=(${line#Max open files}); S[nofile]=${limits[0]}
    if [[ ${S[nofile]} != unlimited && ${S[nofile]} -lt $U_OPEN_FILES ]]; then
      S[nofile]=$U_OPEN_FILES; [[ ${limits[1]} != unlimited && ${limits[1]} -lt $U_OPEN_FILES ]] && S[nofile]=${limits[1]}
    fi
  fi
}
checks() { # what can be known before the fork
  local MISSING=
  read_secrets
  [[ -z $MISSING ]] || refuse 78 "no value for $MISSING: \`pass\` names it, but neither the secrets file nor the environment has it"
  [[ -n $U_PORT ]] && port_taken "$U_PORT" && refuse 69 "$WHY"
  claim; gpu_room
  if [[ ! -d ${S[log]%/*} ]]; then mkdir -p -- "${S[log]%/*}" || refuse 78 "log directory \`${S[log]%/*}\` cannot be made"; fi
  S[log_from]=$SIZE
}
claim_results() { # results have one writer: by hand we take them as a controller does for its clients, or refuse with 75
  local place books text run='' unit='' how=''
  [[ -n $U_RESULTS ]] || return 0
  u_here "$U_RESULTS"; place=$PLACE
  if [[ $place != /* ]]; then u_here "$U_CWD"; place=$PLACE/$place; fi
  books=$place/.toolorch
  [[ $place == *.jsonl ]] && books=${place%/*}/.toolorch/${place##*/}
  # Where nothing can be written, the program says so.
  { (umask "$UMASK_WAS"; mkdir -p -- "${books%/.toolorch*}") && mkdir -p -- "$books" && exec {CLAIMED}>>"$books/writer.lock"; } 2>/dev/null || return 0
  { read -r text <"$books/writer.json"; } 2>/dev/null
  [[ $text =~ \"run\":\"([A-Za-z0-9._-]+)\" ]] && run=${BASH_REMATCH[1]}
  [[ $text =~ \"unit\":\"([A-Za-z0-9._-]+)\" ]] && unit=${BASH_REMATCH[1]}
  flock -n "$CLAIMED"
  if (($? == 1)); then how='is watched'
  elif [[ $run != "$RUN" ]] && { lives "$run" "$unit" || marked "$run/$unit"; }; then how="runs as pid $PID"; fi
  if [[ -n $how ]]; then
    say "\`${unit:-another}\` of the run \`$run\` writes to \`$place\`, and $how: go on with that run, or end it (\`toolorch down\`, or \`stop --run $run\`)"; exit 75
  fi
  json "${D%/*}"
  printf '{"run":"%s","unit":"%s","kept":%s}\n' "$RUN" "$U_UNIT" "$JSON" 2>/dev/null >"$books/.writer.$$" && mv -fT -- "$books/.writer.$$" "$books/writer.json" 2>/dev/null
  return 0
}
verb_run() {
  local rc again signals=0 line='' by_hand=$EPOCH
  while [[ $line != Umask:* ]] && IFS= read -r line; do :; done </proc/self/status
  UMASK_WAS=${line##*[!0-7]}
  D=; load_fence; superseded && exit 73 # before anything is made
  open_dir make
  [[ -n $U_PORT ]] && peek_at "${PORT:-$U_PORT}"
  take_place
  [[ -n $by_hand ]] || claim_results
  first_state
  [[ -n $CONCURRENCY ]] && slow_down "$CONCURRENCY"
  [[ -n $PORT && $PORT != "$U_PORT" ]] && { put_port "$PORT"; S[port]=$PORT; }
  checks
  save_state fence
  for rc in stopping tree environ.diff alone seen; do [[ -e $D/$rc ]] && : >"$D/$rc"; done
  for rc in refusal intended dropped; do : >"$D/$rc"; done # made here: the child has the program's umask
  # A stop is carried out inside the trap: a flag that is looked at before `wait` has a gap.
  STOP=0
  trap 'trap "" TERM INT HUP; STOP=1; settle' TERM INT; trap 'signals=1' HUP PIPE USR1 USR2
  u_child &
  S[pid]=$!
  u_read_stat "${S[pid]}" && S[start]=$ST_START
  S[phase]=running; save_state
  exec {LIFE}> >(record); RECORDER=$!
  say "generation ${S[generation]}, pid ${S[pid]}, log ${S[log]}"
  while :; do
    wait "${S[pid]}"; rc=$?
    ((signals)) || break # no trap cut the wait short: the program ended
    signals=0
    alive "${S[pid]}" "${S[start]}" && continue
    wait "${S[pid]}"; again=$?; ((again == 127)) || rc=$again
    break
  done
  trap '' TERM INT HUP
  settle "$rc"
}
settle() { # the program ended (its code is $1), or a stop was asked for; does not return
  local code=${1-} line lines=()
  if [[ -n ${LIFE-} ]]; then exec {LIFE}>&-; wait "$RECORDER" 2>/dev/null; fi
  load_tree
  S[requested]=$STOP
  [[ -f $D/stopping ]] && mapfile -t lines <"$D/stopping"
  for line in "${lines[@]}"; do
    case $line in grace=?*) to_ms "${line#*=}" && GRACE_MS=$MS ;; reason=*) S[reason]=${line#*=} ;; esac
  done
  if ((STOP)); then
    S[pid]=${S[pid]:-${!-}} # the signal may have come right after the fork
    S[phase]=stopping; save_state; say "stopping"
    end_all "$GRACE_MS" || S[reason]="could not end pid $LEFT"
    [[ -n ${S[pid]} ]] && ! alive "${S[pid]}" "${S[start]-}" && { wait "${S[pid]}"; code=$?; }
  else
    end_all $((GRACE_MS < 5000 ? GRACE_MS : 5000)) || S[reason]="could not end pid $LEFT"
    ((ENDED)) && S[reason]="${S[reason]:+${S[reason]}; }$ENDED of its processes outlived it and were ended"
  fi
  [[ $code == +([0-9]) ]] || code=255 # seen once: `wait` gave -1 for a child killed before its exec
  S[exit_code]=$code S[signal]= S[phase]=exited
  ((code > 128 && code <= 192)) && S[signal]=SIG$(kill -l $((code - 128)) 2>/dev/null)
  if [[ $code == 78 && -s $D/refusal && $STOP == 0 ]]; then
    S[phase]=refused; IFS= read -r line <"$D/refusal"; S[reason]=$line
  fi
  now_ms; S[ended_at]=$NOW; save_state
  drop_claims
  say "${S[phase]}: code $code${S[signal]:+ (${S[signal]}, inferred)}${S[reason]:+, ${S[reason]}}"
  ((STOP)) && code=0
  if [[ -e $D/over ]]; then rm -rf -- "$D"; rmdir -- "${D%/*}" 2>/dev/null; fi # nothing of the run is left but this
  exit "$code"
}
