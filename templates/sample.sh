#!/usr/bin/env bash
# What `toolorch up` asks a machine every 15 s: its load, its memory, and with `gpus` its GPUs. It reads, and changes nothing.
# By hand: bash sample.sh gpus
export LC_ALL=C
sample() {
  local name value total='' free='' line
  read -r value _ </proc/loadavg && printf 'load %s\n' "$value"
  printf 'cores %s\n' "$(nproc 2>/dev/null)"
  while read -r name value _; do
    case $name in MemTotal:) total=$value ;; MemAvailable:) free=$value ;; esac
  done </proc/meminfo
  printf 'memory %s %s\n' "$free" "$total"
  [[ ${1-} == gpus ]] && type -P nvidia-smi >/dev/null || return 0
  while IFS= read -r line; do printf 'gpu %s\n' "$line"; done < <(
    timeout 8 nvidia-smi --query-gpu=index,utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits 2>/dev/null
  )
}
sample "$@"; exit
