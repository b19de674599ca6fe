/* Half a loan is none: the axes of Today's charts have whole numbers. */
"use strict";

Chart.defaults.set("scale", { ticks: { precision: 0 } });
