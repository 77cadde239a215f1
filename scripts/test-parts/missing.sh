# missing WHAT=PACKAGE …: prints the packages of what is not there. WHAT is as tests use it:
#   name           a program that is found by PATH
#   /path          a program at that path, whatever PATH has
#   module@python  a module that this very python imports
missing() {
  local pair what
  for pair; do
    what=${pair%=*}
    case $what in
      /*) [[ -x $what ]] ;;
      *@*) "${what#*@}" -c "import ${what%@*}" 2>/dev/null ;;
      *) command -v "$what" >/dev/null ;;
    esac || echo "${pair##*=}"
  done
}
