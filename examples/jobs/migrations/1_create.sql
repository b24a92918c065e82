create table fruit (id int);
