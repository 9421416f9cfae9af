# ---- Processes: /proc in one pass, no process per process --------------------------------------------
u_read_stat() { # PID -> ST_*; false when it is gone
  local x line
  { IFS=' ' read -r x ST_COMM ST_STATE ST_PPID ST_PGRP ST_SID ST_TTY x x x x x x x x x x x x x x ST_START x ST_RSS x </proc/"$1"/stat; } 2>/dev/null || return 1
  if [[ $ST_COMM != *')' || $ST_STATE != [A-Za-z] || $ST_RSS != +([0-9]) ]]; then # a name with a blank or a newline
    { IFS= read -r -d '' line </proc/"$1"/stat; } 2>/dev/null
    [[ $line == *') '* ]] || return 1
    ST_COMM=${line#* }; ST_COMM=${ST_COMM%') '*}
    IFS=' ' read -r ST_STATE ST_PPID ST_PGRP ST_SID ST_TTY x x x x x x x x x x x x x x ST_START x ST_RSS x <<<"${line##*) }"
  fi
  ST_COMM=${ST_COMM#(}; ST_COMM=${ST_COMM%)}
}
alive() { # PID START: the same process, and not a zombie
  [[ -n $1 && -n $2 ]] && u_read_stat "$1" && [[ $ST_START == "$2" && $ST_STATE != [ZX] ]]
}
declare -A P_STATE P_PPID P_PGRP P_SID P_TTY P_START P_RSS P_COMM
scan() { # every process of this user -> PIDS, P_*
  local dir pid
  PIDS=() P_STATE=() P_PPID=() P_PGRP=() P_SID=() P_TTY=() P_START=() P_RSS=() P_COMM=()
  for dir in /proc/[1-9]*; do
    [[ -O $dir ]] || continue
    pid=${dir#/proc/}
    u_read_stat "$pid" || continue
    [[ $ST_PPID == 2 ]] && continue # a kernel thread (seen as ours where we are root)
    note_process "$pid"
  done
}
note_process() { # PID, of ST_*
  PIDS+=("$1")
  P_STATE[$1]=$ST_STATE P_PPID[$1]=$ST_PPID P_PGRP[$1]=$ST_PGRP P_SID[$1]=$ST_SID P_TTY[$1]=$ST_TTY
  P_START[$1]=$ST_START P_RSS[$1]=$ST_RSS P_COMM[$1]=$ST_COMM
}
declare -A RECORDED=() MARK=() IS_OURS=()
load_tree() { # file `tree` -> RECORDED[pid]=start, TREE_TEXT
  local lines line
  TREE_TEXT=''
  [[ -f $D/tree ]] || return 0
  mapfile -t lines 2>/dev/null <"$D/tree"
  ((${#lines[@]} == 0)) || printf -v TREE_TEXT '%s\n' "${lines[@]}"
  for line in "${lines[@]}"; do [[ $line == +([0-9])' '+([0-9]) ]] && RECORDED[${line% *}]=${line#* }; done
}
save_tree() { # OURS -> file `tree`, if it changed
  local pid text=
  RECORDED=()
  for pid in "${OURS[@]}"; do RECORDED[$pid]=${P_START[$pid]}; text+="$pid ${P_START[$pid]}"$'\n'; done
  [[ $text == "${TREE_TEXT-}" ]] && return
  TREE_TEXT=$text
  printf %s "$text" 2>/dev/null >"$D/.tree.$BASHPID" && mv -fT -- "$D/.tree.$BASHPID" "$D/tree" 2>/dev/null
}
read_marks() { # who carries a marker -> MARK[pid]=RUN/NAME/…, or `supervisor`; one grep for all
  local hits hit pid
  MARK=()
  ((${#PIDS[@]})) || return
  local files=("${PIDS[@]/#//proc/}")
  mapfile -d '' -t hits < <(grep -sHozaE '^TOOLORCH_(UNIT|SUPERVISOR)=.*' -- "${files[@]/%//environ}")
  for hit in "${hits[@]}"; do
    pid=${hit#/proc/}; pid=${pid%%/*}
    if [[ $hit == *:TOOLORCH_UNIT=* ]]; then MARK[$pid]=${hit#*:TOOLORCH_UNIT=}; else MARK[$pid]=${MARK[$pid]:-supervisor}; fi
  done
}
declare -A STARTING=()
read_starts() { # who starts this unit, or supervises it, told by its words, whatever launched it -> STARTING[pid]
  local files file words
  STARTING=()
  ((${#PIDS[@]})) || return
  files=("${PIDS[@]/#//proc/}")
  mapfile -t files < <(grep -slzxF -- "$RUN" "${files[@]/%//cmdline}")
  for file in "${files[@]}"; do
    mapfile -d '' -t words 2>/dev/null <"$file"
    file=${file#/proc/}
    case " ${words[*]} " in
      *"/units/$U_UNIT.sh run "*" --run $RUN "* | *"/units/$U_UNIT.sh run --run $RUN "* | *".sh start --run $RUN $U_UNIT -- "*) STARTING[${file%%/*}]=1 ;;
    esac
  done
}
ours() { # [quick] -> OURS, IS_OURS: all of ours that live.  quick: without the markers
  local pid lead=${S[pid]-} lead_start=${S[start]-} session=0 more=1
  # A look at a whole node reads /proc once for all its units.
  if [[ -z ${SCANNED-} ]]; then
    scan; if [[ ${1-} == quick ]]; then MARK=(); else read_marks; fi
  # Its leader began after that, or it would be seen a look later.
  elif [[ -n $lead && -z ${P_START[$lead]-} ]] && alive "$lead" "$lead_start"; then note_process "$lead"; fi
  [[ -z ${STOPPING-} ]] || read_starts
  IS_OURS=() OURS=()
  # A process id cannot be used again while a session or group of that number lives, so the session is
  # ours unless another process sits at the leader's number now.
  if [[ -n $lead && ${S[phase]-} == @(starting|running|stopping) && ${S[boot]-} == "$BOOT" ]] &&
    [[ -z ${P_START[$lead]-} || ${P_START[$lead]} == "$lead_start" ]]; then session=1; fi
  for pid in "${PIDS[@]}"; do
    [[ ${P_STATE[$pid]} == [ZX] || $pid == "$$" || $pid == "$BASHPID" ]] && continue
    if [[ -n ${STARTING[$pid]-} ]]; then IS_OURS[$pid]=1
    elif [[ -n ${MARK[$pid]-} ]]; then
      [[ ${MARK[$pid]} == "$RUN/$U_UNIT/"* ]] && IS_OURS[$pid]=1
      continue # another unit's, or its supervisor, even if we started it
    elif ((session)) && [[ ${P_SID[$pid]} == "$lead" || ${P_PGRP[$pid]} == "$lead" || $pid == "$lead" ]]; then IS_OURS[$pid]=1
    elif [[ ${RECORDED[$pid]-} == "${P_START[$pid]}" ]]; then IS_OURS[$pid]=1; fi
  done
  while ((more)); do
    more=0
    for pid in "${PIDS[@]}"; do
      [[ -z ${IS_OURS[$pid]-} && -n ${IS_OURS[${P_PPID[$pid]}]-} ]] || continue
      [[ ${P_STATE[$pid]} == [ZX] || $pid == "$$" || $pid == "$BASHPID" ]] && continue
      [[ -n ${MARK[$pid]-} && ${MARK[$pid]} != "$RUN/$U_UNIT/"* ]] && continue
      IS_OURS[$pid]=1 more=1
    done
  done
  for pid in "${PIDS[@]}"; do [[ -n ${IS_OURS[$pid]-} ]] && OURS+=("$pid"); done
}
