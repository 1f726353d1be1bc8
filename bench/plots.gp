# usage: gnuplot -c plots.gp NAME DATA-DIRECTORY OUTPUT-DIRECTORY TITLE
#
# No background, and everything of medium lightness, so that the plots can be read on white and on
# black. Small with large letters: on a phone 640 pixels become half as many.

name = ARG1
data = ARG2."/".name.".dat"

grey = "#7d858f"
set terminal svg noenhanced size 640,400 font "sans-serif,17" linewidth 1.2
set output ARG3."/".name.".svg"
set title ARG4 textcolor rgb grey font ",16"
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set grid linecolor rgb grey linewidth 0.3 dashtype 3
set xlabel textcolor rgb grey
set ylabel textcolor rgb grey
set key textcolor rgb grey
colour(name) = strstrt(name, "hello-fcgi") ? 0x2f81f7 : 0x7d858f

if (name eq "throughput" || name eq "memory") {
    # A bar for each server, with the interval of its median.
    set xlabel name eq "memory" ? "MB" : "requests/s"
    set xrange [0:*]
    stats data using 4 nooutput
    set xtics 10 ** floor(log10(STATS_max))  # each bar has its number; more would run into each other
    set yrange [-0.6:*]
    set format x "%.0s%c"
    set grid noytics
    set ytics scale 0
    set rmargin 9
    set style fill solid 0.9 noborder
    unset key
    plot data using ($2/2):0:($2/2):(0.36):(colour(strcol(1))):ytic(1) \
            with boxxyerror linecolor rgb variable, \
         "" using 2:0:3:4 with xerrorbars pointtype 0 linewidth 1.5 linecolor rgb "#d29922", \
         "" using 4:0:(sprintf("  %s", strcol(5))) with labels left textcolor rgb grey
}

if (name eq "latency") {
    set xlabel "requests/s that are due"
    set ylabel "99th percentile, ms"
    set logscale y
    set yrange [0.05:*]
    set format y "%g"
    set format x "%.0s%c"
    set key top left reverse Left samplen 2
    array colours[4] = ["#7d858f", "#2f81f7", "#a371f7", "#3fa34d"]
    stats data skip 1 nooutput
    plot for [i=2:STATS_columns] data using 1:i with linespoints pointsize 0.7 linewidth 2 \
            pointtype i linecolor rgb colours[i - 1] title columnheader(i)
}

if (name eq "start") {
    # A group of bars for each server, one for each runtime.
    set ylabel "ms to the first 200"
    set yrange [0:*]
    set style data histogram
    set style histogram clustered gap 1
    set style fill solid 0.9 noborder
    set key top right reverse Left samplen 2
    array colours[2] = ["#2f81f7", "#d29922"]
    plot for [i=2:3] data using i:xtic(1) linecolor rgb colours[i - 1] title columnheader(i)
}
